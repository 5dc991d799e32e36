import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { IconButton } from '../IconButton';

interface Props {
  /** Whose unsent text this is: it is there again when one comes back. */
  draftKey: string;
  onSend(text: string): void;
  onTyping?(): void;
  /** Stops the reply that runs; given only while one does. */
  onStop?(): void;
  isStopping?: boolean;
  disabled?: boolean;
}

const drafts = new Map<string, string>();

export function Composer({
  draftKey,
  onSend,
  onTyping,
  onStop,
  isStopping = false,
  disabled = false,
}: Props) {
  const [text, setText] = useState(drafts.get(draftKey) ?? '');
  const input = useRef<HTMLTextAreaElement>(null);
  const canSend = !disabled && !onStop && text.trim() !== '';

  useEffect(() => {
    drafts.set(draftKey, text);
  }, [draftKey, text]);
  // the height follows the text.
  useEffect(() => {
    const area = input.current;
    if (!area) return;
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight}px`;
  }, [text]);
  useEffect(() => {
    // On a phone the keyboard would cover half of what one came to read.
    if (matchMedia('(pointer: fine)').matches) input.current?.focus();
  }, []);

  const send = () => {
    if (!canSend) return;
    drafts.delete(draftKey);
    setText('');
    onSend(text);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter that ends the input of a character is not meant for us.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="composer-box">
        <textarea
          ref={input}
          rows={1}
          aria-label="Message"
          placeholder="Write a message"
          enterKeyHint="send"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            onTyping?.();
          }}
          onKeyDown={onKeyDown}
        />
        {onStop ? (
          <IconButton
            icon="stop"
            label={isStopping ? 'Stopping' : 'Stop the answer'}
            className="send"
            data-kind="stop"
            disabled={isStopping}
            onClick={onStop}
          />
        ) : (
          <IconButton icon="send" label="Send" type="submit" className="send" disabled={!canSend} />
        )}
      </div>
      <p className="hint">Enter sends, Shift+Enter makes a new line.</p>
    </form>
  );
}
