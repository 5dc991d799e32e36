import { useEffect, useState, useSyncExternalStore } from 'react';
import { Chat } from './chat/Chat';
import { NewChat } from './chat/NewChat';
import { useConsole } from './console';
import { IconButton } from './IconButton';
import { useRoute } from './route';
import { SettingsPage } from './settings/SettingsPage';
import { Sidebar } from './sidebar/Sidebar';

/** The conversations on the left, the one that shows on the right. */
export function Shell({ onLogout }: { onLogout(): void }) {
  const route = useRoute();
  const [menu, setMenu] = useState(false);
  // on a phone the list covers the chat that was just chosen.
  useEffect(() => setMenu(false), [route]);
  useEffect(() => {
    const closeOnEscape = (event: KeyboardEvent) => event.key === 'Escape' && setMenu(false);
    addEventListener('keydown', closeOnEscape);
    return () => removeEventListener('keydown', closeOnEscape);
  }, []);
  const menuButton = (
    <IconButton icon="menu" label="Conversations" className="only-narrow" onClick={() => setMenu(true)} />
  );
  return (
    <div className={menu ? 'shell with-menu' : 'shell'}>
      <Sidebar route={route} onLogout={onLogout} onClose={() => setMenu(false)} />
      <button
        type="button"
        className="scrim"
        aria-label="Close the conversations"
        onClick={() => setMenu(false)}
      />
      {route.page === 'new' && <NewChat menuButton={menuButton} />}
      {route.page === 'chat' && <Chat key={route.id} id={route.id} menuButton={menuButton} />}
      {route.page === 'settings' && <SettingsPage menuButton={menuButton} />}
      <Notice />
    </div>
  );
}

function Notice() {
  const { notices } = useConsole();
  const text = useSyncExternalStore(notices.subscribe, notices.getSnapshot);
  return (
    <div className="notice-place" role="alert">
      {text !== null && (
        <div className="notice">
          <span>{text}</span>
          <IconButton icon="close" label="Dismiss" onClick={() => notices.show(null)} />
        </div>
      )}
    </div>
  );
}
