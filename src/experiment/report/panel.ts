/** A drawing with a title: a figure of the page, or a part of a larger picture. */
import { type Html, html } from '../../runs/report/html.ts';

export interface Panel {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  /** SVG in these units. */
  readonly content: Html;
}

export function figureOf({ title, width, height, content }: Panel): Html {
  return html`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
${content}
</svg></figure>`;
}
