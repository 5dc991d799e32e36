import { useConversations } from '@bestchat/client/react';
import { useState } from 'react';
import { inWords, useConsole } from '../console';
import { Icon } from '../Icon';
import { IconButton } from '../IconButton';
import { type Route, SETTINGS } from '../route';
import { Connection } from './Connection';
import { Row } from './Row';

interface Props {
  route: Route;
  onLogout(): void;
  onClose(): void;
}

export function Sidebar({ route, onLogout, onClose }: Props) {
  const [archived, setArchived] = useState(false);
  return (
    <aside className="sidebar" aria-label="Conversations">
      <div className="sidebar-head">
        <img src="./icon.svg" alt="" width="26" height="26" />
        <strong>BestChat</strong>
        <IconButton icon="close" label="Close the list" className="only-narrow" onClick={onClose} />
      </div>
      <a className="new-chat" href="#/" aria-current={route.page === 'new' ? 'page' : undefined}>
        <Icon name="plus" /> New chat
      </a>
      <List key={String(archived)} archived={archived} route={route} />
      <button
        type="button"
        className="quiet archived-toggle"
        aria-pressed={archived}
        onClick={() => setArchived(!archived)}
      >
        <Icon name="archive" size={16} /> {archived ? 'Back to the chats' : 'Archived chats'}
      </button>
      <a
        className="settings-link"
        href={SETTINGS}
        aria-current={route.page === 'settings' ? 'page' : undefined}
      >
        <Icon name="settings" size={16} /> Settings and usage
      </a>
      <Connection onLogout={onLogout} />
    </aside>
  );
}

function List({ archived, route }: { archived: boolean; route: Route }) {
  const { client } = useConsole();
  const { conversations, loading, more, problem, loadMore } = useConversations(client, { archived });
  return (
    <nav className="rows" aria-label={archived ? 'Archived chats' : 'Chats'}>
      {archived && <h2 className="rows-title">Archived</h2>}
      <ul>
        {conversations.map((row) => (
          <Row key={row.id} row={row} isOpen={route.page === 'chat' && row.id === route.id} />
        ))}
      </ul>
      {problem && <p className="rows-note problem">{inWords(problem)}</p>}
      {!problem && conversations.length === 0 && (
        <p className="rows-note">
          {loading ? 'Loading…' : archived ? 'Nothing is archived.' : 'No chats yet.'}
        </p>
      )}
      {more && (
        <button type="button" className="quiet" onClick={() => void loadMore()}>
          Show more
        </button>
      )}
    </nav>
  );
}
