/** Templates, and what the server says about the values that are typed into their forms. */

import type { ServerConnection } from '@jupyterlab/services';

import { ask } from '../common/request';
import type { IRun } from '../runs/api';

/** What is typed, by the names of parameters. */
export type Values = Record<string, string>;

export interface ITemplate {
  name: string;
  title: string;
  about: string;
}

/** A parameter; `text` is its default as it is typed, null where it cannot be, `choices` the list of names that fit. */
export interface IField {
  name: string;
  default: unknown;
  kind: string;
  help: string;
  group: number;
  text: string | null;
  choices: 'strategies' | 'data' | null;
}

/** A form; `runs` is what its runs are called. */
export interface IForm extends ITemplate {
  runs: string;
  parameters: IField[];
}

export interface IChoices {
  strategies: string[];
  data: string[];
  complete: boolean;
}

/** What values ask for; `runs` is 0 where something is wrong. */
export interface IChecked {
  runs: number;
  axes: Record<string, unknown[]>;
  errors: Record<string, string>;
  error: string | null;
  known: IRun[];
}

export interface IStarted {
  queued: string[];
  runs: IRun[];
}

function post<T>(settings: ServerConnection.ISettings, path: string, content: object): Promise<T> {
  return ask<T>(settings, path, { method: 'POST', body: JSON.stringify(content) });
}

/** The routes of templates. */
export class TemplateClient {
  constructor(readonly settings: ServerConnection.ISettings) {}

  async templates(): Promise<ITemplate[]> {
    return (await ask<{ templates: ITemplate[] }>(this.settings, 'templates')).templates;
  }

  form(template: string): Promise<IForm> {
    return ask<IForm>(this.settings, `templates/${encodeURIComponent(template)}`);
  }

  choices(): Promise<IChoices> {
    return ask<IChoices>(this.settings, 'choices');
  }

  check(template: string, values: Values, name: string | null): Promise<IChecked> {
    return post(this.settings, `templates/${encodeURIComponent(template)}/check`, { values, name });
  }

  /** Queue the runs. */
  start(content: {
    template: string;
    values: Values;
    name: string | null;
    hide_code: boolean;
    force: boolean;
    cluster: string | null;
  }): Promise<IStarted> {
    return post(this.settings, 'runs', content);
  }

  /** Write a copy of the template with these values into a folder, and return its path. */
  async copy(template: string, values: Values, path: string): Promise<string> {
    const url = `templates/${encodeURIComponent(template)}/notebook`;
    return (await post<{ path: string }>(this.settings, url, { values, path })).path;
  }
}
