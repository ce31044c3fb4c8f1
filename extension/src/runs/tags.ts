/** The field in a card in which tags are edited. */

import { html } from '../common/dom';

/** The words of a text of tags, each once. */
function words(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter(word => word !== ''))];
}

/** Put a field with `tags` into `card`; Enter, or leaving it, keeps what was typed, Escape does not. */
export function editTags(card: HTMLElement, tags: readonly string[]): Promise<string[] | null> {
  const field = html('input', {
    class: 'kk-Run-field',
    'aria-label': 'Tags, words with spaces between them',
    placeholder: 'Tags, such as: final spx',
    maxlength: 500
  });
  field.value = tags.join(' ');
  const line = card.querySelector<HTMLElement>('.kk-Run-tags');
  (line ?? card.querySelector('.kk-Run-actions'))?.before(field);
  if (line !== null) {
    line.hidden = true;
  }
  field.focus();
  return new Promise(resolve => {
    const end = (answer: string[] | null): void => {
      resolve(answer);
      field.removeEventListener('blur', leave);
      field.remove();
      if (line !== null) {
        line.hidden = false;
      }
      card.focus();
    };
    const leave = (): void => end(words(field.value));
    field.addEventListener('blur', leave);
    field.addEventListener('keydown', event => {
      if (event.key === 'Enter' || event.key === 'Escape') {
        event.preventDefault();
        end(event.key === 'Enter' ? words(field.value) : null);
      }
      event.stopPropagation();
    });
  });
}
