import { describe, expect, test } from 'vitest'
import { hubUriText, isHubUri, parseHubUri } from '../../lib/weights/hub/uri.js'

describe('a URI', () => {
  test.each<[string, ReturnType<typeof parseHubUri>]>([
    ['hf://timm/vgg16.tv_in1k', { repository: 'timm/vgg16.tv_in1k' }],
    ['hf-hub:timm/vgg16.tv_in1k', { repository: 'timm/vgg16.tv_in1k' }],
    ['hf://timm/vgg16.tv_in1k/', { repository: 'timm/vgg16.tv_in1k' }],
    ['hf://o/n@v1.0', { repository: 'o/n', revision: 'v1.0' }],
    ['hf-hub:o/n@v1.0', { repository: 'o/n', revision: 'v1.0' }],
    ['hf://o/n@a%2Fb/c/d.pth', { repository: 'o/n', revision: 'a/b', file: 'c/d.pth' }],
    ['hf://o/n@refs/pr/1/d.pth', { repository: 'o/n', revision: 'refs/pr/1', file: 'd.pth' }],
    ['hf://o/n@refs/pr/1', { repository: 'o/n', revision: 'refs/pr/1' }],
    ['hf://o/n/c/d e.pth', { repository: 'o/n', file: 'c/d e.pth' }],
  ])('%s', (text, expected) => {
    expect(isHubUri(text)).toBe(true)
    expect(parseHubUri(text)).toEqual(expected)
    expect(parseHubUri(hubUriText(expected))).toEqual(expected)
  })

  test.each<[string, RegExp]>([
    ['hf://', /it is written hf:\/\/owner\/name, /],
    ['hf:/o/n', /it is written/],
    ['HF://o/n', /it is written/],
    ['hf:///o/n', /it is written/],
    ['hf://vgg16', /an owner and a name are needed/],
    ['hf://o/@v1', /an owner and a name are needed/],
    ['hf://o/n@', /a revision is missing/],
    ['hf://o/n@/f.pth', /a revision is missing/],
    ['hf://o/n@a%2', /'a%2' has a '%' that is not followed by two/],
    ['hf://o/n@..%2F..', /'\.\.\/\.\.' cannot be a revision/],
    ['hf://../n', /'\.\.' cannot be the name of an owner/],
    ['hf://o/a--b', /'a--b' cannot be the name/],
    ['hf://o/n.git', /'n\.git' cannot be the name/],
    ['hf://o/n/../../etc/passwd', /cannot be the path of a file/],
    ['hf://o/n/a\\b', /cannot be the path of a file/],
    ['hf://o/n//a', /cannot be the path of a file/],
    ['hf://datasets/o/n', /'datasets' is a kind of repository, not an owner; weights are in repositories of models$/],
    ['hf://models/o/n', /leave out 'models\/'$/],
    ['https://huggingface.co/timm/vgg16.tv_in1k', /write hf:\/\/timm\/vgg16\.tv_in1k$/],
    ['http://www.huggingface.co/o/n/tree/main?x=1#y', /write hf:\/\/o\/n@main$/],
    ['https://huggingface.co/o/n/resolve/v1/a/b.pth', /write hf:\/\/o\/n@v1\/a\/b\.pth$/],
    ['https://hf.co/', /it is written/],
  ])('%s is refused', (text, message) => {
    expect(isHubUri(text)).toBe(true)
    const refused = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }
    expect(() => parseHubUri(text)).toThrow(expect.objectContaining(refused))
  })

  test.each([
    'model.safetensors',
    './hf',
    'runs/hf:x',
    'https://example.com/o/n',
    'https://huggingface.com.example/o/n',
  ])('%s is none', (text) => expect(isHubUri(text)).toBe(false))
})
