import type { ModelView, ProviderConfigView } from '@bestchat/client';
import { useBestChat } from '@bestchat/client/react';
import { useEffect, useState } from 'react';
import { useConsole } from '../console';

/** The models that can answer, one's own among them; none until the server said so. */
export function useModels(): readonly ModelView[] {
  const { client } = useConsole();
  const { state } = useBestChat(client);
  const [models, setModels] = useState<readonly ModelView[]>([]);
  useEffect(() => {
    if (state !== 'online') return;
    let isWanted = true;
    const installed = client.rest.models().then((answer) => answer.models);
    const own = client.rest.providerConfigs().then((answer) => ownModels(answer.configs));
    Promise.all([installed, own]).then(
      ([here, mine]) => isWanted && setModels([...here, ...mine.filter((it) => !here.some(isSame(it)))]),
      // Without the list, the default model answers: nothing to tell anyone.
      () => {},
    );
    return () => {
      isWanted = false;
    };
  }, [client, state]);
  return models;
}

/** The models that one has named for one's own providers. */
export function ownModels(configs: readonly ProviderConfigView[]): ModelView[] {
  return configs.flatMap(({ provider, models }) =>
    models.map(({ id, context_window }) => {
      const model = `${provider}/${id}`;
      return { id: model, label: model, context_window, default: false };
    }),
  );
}

const isSame = (model: ModelView) => (other: ModelView) => other.id === model.id;
