import type { ClientCommand, ConversationView } from '@bestchat/client';
import { useBestChat } from '@bestchat/client/react';
import { useState } from 'react';
import { useAsk, useConsole } from '../console';
import { Dialog } from '../Dialog';
import { IconButton } from '../IconButton';
import { addressOf, open } from '../route';
import { titleOf } from '../title';
import { Rename } from './Rename';

/** A conversation in the list, and what can be done with it there. */
export function Row({ row, isOpen }: { row: ConversationView; isOpen: boolean }) {
  const { client } = useConsole();
  const { user } = useBestChat(client);
  const ask = useAsk();
  const [mode, setMode] = useState<'shown' | 'renamed' | 'deleted'>('shown');
  const title = titleOf(row);
  const send = (command: ClientCommand) => ask(client.command(row.id, command));
  const isOwner = row.owner === user;

  if (mode === 'renamed') {
    return (
      <li className="row">
        <Rename
          title={title}
          onDone={(renamed) => {
            setMode('shown');
            if (renamed !== null) void send({ type: 'RenameConversation', title: renamed });
          }}
        />
      </li>
    );
  }
  const remove = async () => {
    setMode('shown');
    const removal: ClientCommand = isOwner
      ? { type: 'DeleteConversation' }
      : { type: 'RemoveParticipant', user: user ?? '' };
    if ((await send(removal)) && isOpen) open(null);
  };
  return (
    <li className="row">
      <a href={addressOf(row.id)} aria-current={isOpen ? 'page' : undefined} title={title}>
        <span>{title}</span>
      </a>
      <div className="row-actions">
        <IconButton icon="edit" label={`Rename ${title}`} onClick={() => setMode('renamed')} />
        {row.archived ? (
          <IconButton
            icon="unarchive"
            label={`Take ${title} out of the archive`}
            onClick={() => send({ type: 'UnarchiveConversation' })}
          />
        ) : (
          <IconButton
            icon="archive"
            label={`Archive ${title}`}
            onClick={() => send({ type: 'ArchiveConversation' })}
          />
        )}
        <IconButton
          icon={isOwner ? 'trash' : 'leave'}
          label={`${isOwner ? 'Delete' : 'Leave'} ${title}`}
          onClick={() => setMode('deleted')}
        />
      </div>
      {mode === 'deleted' && (
        <Dialog title={isOwner ? 'Delete this chat?' : 'Leave this chat?'} onClose={() => setMode('shown')}>
          <p>
            “{title}” will be gone{' '}
            {isOwner ? 'for everyone in it. This cannot be undone.' : 'from your list.'}
          </p>
          <div className="dialog-actions">
            <button type="button" className="quiet" onClick={() => setMode('shown')}>
              Cancel
            </button>
            <button type="button" className="danger" onClick={() => void remove()}>
              {isOwner ? 'Delete' : 'Leave'}
            </button>
          </div>
        </Dialog>
      )}
    </li>
  );
}
