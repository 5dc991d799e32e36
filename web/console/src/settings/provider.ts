// A provider as its form has it.

import type { ProviderConfig, ProviderConfigView } from '@bestchat/client';

export interface ProviderFields {
  /** Of one that the catalogue does not have. */
  name: string;
  key: string;
  protocol: string;
  address: string;
  /** One a line. */
  models: string;
}

/** What is saved: what is left empty stays as the catalogue has it, or as the key is that is there. */
export function configOf(fields: ProviderFields, known: ProviderConfigView | null): ProviderConfig {
  const [key, protocol, address] = [fields.key.trim(), fields.protocol, fields.address.trim()];
  const named = new Map(known?.models.map((model) => [model.id, model]));
  const models = [...new Set(fields.models.split('\n').map((line) => line.trim()))]
    .filter((id) => id !== '')
    .map((id) => {
      // What the form does not show of a model stays.
      const { context_window, ...rest } = named.get(id) ?? { id, context_window: null };
      return context_window === null ? rest : { ...rest, context_window };
    });
  return {
    ...(key && { api_key: key }),
    ...(protocol && { protocol }),
    ...(address && { base_url: address }),
    ...(models.length > 0 && { models }),
    ...(known?.auth && { auth: known.auth }),
    ...(known?.max_tokens && { max_tokens: true }),
  };
}

/** A model as its provider calls it, of a reference that names the provider as well. */
export function withoutProvider(provider: string, model: string): string {
  return model.startsWith(`${provider}/`) ? model.slice(provider.length + 1) : model;
}
