import { type ReactNode, useCallback, useEffect } from 'react';
import { useConsole } from '../console';
import { DefaultModel } from './DefaultModel';
import { LimitsForm } from './LimitsForm';
import { Providers } from './Providers';
import { useRead } from './read';
import { UsageTables } from './UsageTables';

/** What one has set for oneself, and what one used. */
export function SettingsPage({ menuButton }: { menuButton: ReactNode }) {
  const { client } = useConsole();
  const catalog = useRead(useCallback(() => client.rest.providers(), [client]));
  const configs = useRead(
    useCallback(
      (after: { min_position?: string }) =>
        client.rest.providerConfigs(after).then((answer) => answer.configs),
      [client],
    ),
  );
  useEffect(() => {
    document.title = 'Settings · BestChat';
    return () => {
      document.title = 'BestChat';
    };
  }, []);
  return (
    <main className="chat">
      <header className="chat-head">
        {menuButton}
        <h1>Settings</h1>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable part must be reachable by keyboard. */}
      <section className="messages" aria-label="Settings" tabIndex={0}>
        <div className="column settings">
          <Providers catalog={catalog} configs={configs} />
          <DefaultModel catalog={catalog.value} configs={configs.value} />
          <LimitsForm />
          <UsageTables />
        </div>
      </section>
    </main>
  );
}
