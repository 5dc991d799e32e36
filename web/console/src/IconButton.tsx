import type { ComponentProps } from 'react';
import { Icon } from './Icon';

interface Props extends ComponentProps<'button'> {
  icon: ComponentProps<typeof Icon>['name'];
  label: string;
}

/** A button that is a picture, with a name for those who do not see it. */
export function IconButton({ icon, label, className = '', ...rest }: Props) {
  return (
    <button type="button" className={`icon-button ${className}`} aria-label={label} title={label} {...rest}>
      <Icon name={icon} />
    </button>
  );
}
