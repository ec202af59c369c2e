// A plugin of typedoc: what the Markdown says twice is left out.

import { Converter, ReflectionKind } from 'typedoc'
import { MarkdownPageEvent } from 'typedoc-plugin-markdown'

/** Methods and properties that a class has from another one, which stand there. */
function withoutInherited({ project }) {
  const classes = project.getReflectionsByKind(ReflectionKind.Class)
  const inherited = classes.flatMap(({ children = [] }) => children.filter((child) => child.inheritedFrom))
  for (const member of inherited) project.removeReflection(member)
}

/** Signatures state the types; what is left below them are the words. */
function compacted(markdown) {
  return markdown
    .replaceAll(/^#+ (Inherited from|Overrides)\n\n.*\n\n?/gm, '')
    .replaceAll(/^#+ (Get Signature|Set Signature|Parameters)\n\n/gm, '')
    .replaceAll(/^#+ Returns\n\n.*\n(?=\n(#|\*\*\*)|$(?![\s\S]))\n?/gm, '')
    .replaceAll(/^#+ Returns\n\n.*\n\n/gm, '**Returns** ')
    .replaceAll(/^#+ Throws\n\n/gm, '**Throws** ')
    .replaceAll(/\n{3,}/g, '\n\n')
    .replace(/\n*$/, '\n')
}

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, withoutInherited)
  app.renderer.on(MarkdownPageEvent.END, (page) => {
    page.contents = compacted(page.contents)
  })
}
