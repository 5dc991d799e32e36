import type { ModelView } from '@bestchat/client';

interface Props {
  models: readonly ModelView[];
  /** Null: the installation's default. */
  value: string | null;
  onChange(model: string): void;
}

export function ModelPicker({ models, value, onChange }: Props) {
  const shown = value ?? models.find((model) => model.default)?.id ?? '';
  const isKnown = models.some((model) => model.id === shown);
  if (models.length === 0 && value === null) return null;
  return (
    <select
      className="model-picker"
      aria-label="Model"
      value={shown}
      onChange={(event) => onChange(event.target.value)}
    >
      {!isKnown && <option value={shown}>{shown || 'Default model'}</option>}
      {models.map((model) => (
        <option key={model.id} value={model.id}>
          {model.label}
        </option>
      ))}
    </select>
  );
}
