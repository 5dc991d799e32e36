import type { ModelView } from '@bestchat/client';
import { useBestChat } from '@bestchat/client/react';
import { useEffect, useState } from 'react';
import { useConsole } from '../console';

/** The models that can answer; none until the server said so. */
export function useModels(): readonly ModelView[] {
  const { client } = useConsole();
  const { state } = useBestChat(client);
  const [models, setModels] = useState<readonly ModelView[]>([]);
  useEffect(() => {
    if (state !== 'online') return;
    // Without the list, the default model answers: nothing to tell anyone.
    client.rest.models().then(
      (answer) => setModels(answer.models),
      () => {},
    );
  }, [client, state]);
  return models;
}
