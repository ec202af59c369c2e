import { expect } from 'vitest'

/** Every tag with the names of its attributes, in order; throws where the page is not made of such tags and of text. */
export function tagsOf(page: string): string[] {
  const body = page.replace(/<style>[^<]*<\/style>/, '<style></style>')
  const tags: string[] = []
  const rest = body.replaceAll(
    /<(!doctype html|\/?[a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"<>]*")?)*)\s*\/?>/g,
    (_, tag, attributes) => {
      tags.push(
        `${tag} ${[...String(attributes).matchAll(/([a-zA-Z:-]+)(="[^"]*")?/g)].map(([, key]) => key).join(' ')}`,
      )
      return ''
    },
  )
  expect(rest).not.toMatch(/[<>]/)
  return tags
}
