import type { UsageFigures, UsageRow } from '@bestchat/client';
import { useCallback, useState } from 'react';
import { useConsole } from '../console';
import { caveat, dollars, inWords, lastDays, tokens } from './figures';
import { useRead } from './read';

const SPANS = [7, 30, 90];

/** What one used, by day and by model. */
export function UsageTables() {
  const { client } = useConsole();
  const [days, setDays] = useState(30);
  const read = useCallback(async () => {
    const span = lastDays(days, new Date());
    const [byDay, byModel] = await Promise.all([
      client.rest.usage({ ...span, by: ['day'] }),
      client.rest.usage({ ...span, by: ['model'] }),
    ]);
    return { byDay, byModel };
  }, [client, days]);
  const { value, problem, again } = useRead(read);
  const note = value && caveat(value.byDay.total);
  return (
    <section aria-labelledby="usage">
      <h2 id="usage">Usage</h2>
      <div className="form-line">
        <label className="field">
          <span>Time</span>
          <select value={days} onChange={(event) => setDays(Number(event.target.value))}>
            {SPANS.map((span) => (
              <option key={span} value={span}>
                The last {span} days
              </option>
            ))}
          </select>
        </label>
        <button type="button" className="quiet" onClick={() => again()}>
          Refresh
        </button>
      </div>
      {problem && <p className="problem">{problem}</p>}
      {value && value.byDay.total.attempts === 0 && <p className="muted">Nothing was used.</p>}
      {value && value.byDay.total.attempts > 0 && (
        <>
          <Table
            title="By model"
            of="Model"
            rows={value.byModel.rows}
            name={({ model }) => model ?? ''}
            total={value.byModel.total}
          />
          <Table
            title="By day"
            of="Day"
            rows={[...value.byDay.rows].reverse()}
            name={({ day }) => day ?? ''}
            total={value.byDay.total}
          />
          {note && <p className="muted">{note}</p>}
        </>
      )}
    </section>
  );
}

interface TableProps {
  title: string;
  /** What its rows are. */
  of: string;
  rows: UsageRow[];
  name(row: UsageRow): string;
  total: UsageFigures;
}

function Table({ title, of, rows, name, total }: TableProps) {
  return (
    <div className="table-place">
      <table>
        <caption>{title}</caption>
        <thead>
          <tr>
            <th scope="col">{of}</th>
            <th scope="col">Attempts</th>
            <th scope="col">Failed</th>
            <th scope="col">Tokens in</th>
            <th scope="col">Tokens out</th>
            <th scope="col">Cost</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={name(row)}>
              <th scope="row">{name(row)}</th>
              <Figures figures={row} />
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">Together</th>
            <Figures figures={total} />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

function Figures({ figures }: { figures: UsageFigures }) {
  const { attempts, failed, micro_usd } = figures;
  const count = tokens(figures);
  return (
    <>
      <td>{inWords(attempts)}</td>
      <td>{inWords(failed)}</td>
      <td>{inWords(count.in)}</td>
      <td>{inWords(count.out)}</td>
      <td>{dollars(micro_usd)}</td>
    </>
  );
}
