import { useEffect, useRef, useState } from 'react';

/** A message's text, open for another wording. Enter sends it, Escape leaves it. */
export function Editor({
  text,
  onSave,
  onCancel,
}: {
  text: string;
  onSave(text: string): void;
  onCancel(): void;
}) {
  const [value, setValue] = useState(text);
  const input = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    input.current?.focus();
    input.current?.setSelectionRange(text.length, text.length);
  }, [text]);
  const save = () => value.trim() !== '' && onSave(value);
  return (
    <form
      className="editor"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <textarea
        ref={input}
        aria-label="Edit the message"
        rows={Math.min(12, value.split('\n').length + 1)}
        value={value}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === 'Escape') onCancel();
          if (event.key === 'Enter' && !event.shiftKey) {
            event.preventDefault();
            save();
          }
        }}
      />
      <div className="editor-actions">
        <button type="button" className="quiet" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={value.trim() === ''}>
          Send
        </button>
      </div>
    </form>
  );
}
