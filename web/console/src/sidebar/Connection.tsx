import { useBestChat } from '@bestchat/client/react';
import { useSyncExternalStore } from 'react';
import { useConsole } from '../console';
import { IconButton } from '../IconButton';

const WORDS = { online: 'Online', reconnecting: 'Reconnecting…', offline: 'Offline' };

/** How the connection stands, in a word. */
export function useConnection(): keyof typeof WORDS {
  const { client } = useConsole();
  const { state } = useBestChat(client);
  const hasNetwork = useSyncExternalStore(subscribe, () => navigator.onLine);
  if (state === 'online') return 'online';
  return state === 'closed' || !hasNetwork ? 'offline' : 'reconnecting';
}

/** Who one is, and whether the server hears. */
export function Connection({ onLogout }: { onLogout(): void }) {
  const { client } = useConsole();
  const { user } = useBestChat(client);
  const connection = useConnection();
  return (
    <div className="connection">
      <div>
        <strong>{user ?? '…'}</strong>
        <span className={`badge ${connection}`} role="status" data-testid="connection">
          {WORDS[connection]}
        </span>
      </div>
      <IconButton icon="leave" label="Log out" onClick={onLogout} />
    </div>
  );
}

function subscribe(listener: () => void): () => void {
  for (const event of ['online', 'offline']) addEventListener(event, listener);
  return () => {
    for (const event of ['online', 'offline']) removeEventListener(event, listener);
  };
}
