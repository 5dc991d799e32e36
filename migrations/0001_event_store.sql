-- The event store. `events` keeps postgres-es's seven columns untouched and adds ours, so that unmodified postgres-es
-- reads and writes the same table.

-- One row a shard: `head` is the position of its last event. The number of rows is fixed when the database is created.
create table shards (
    shard int primary key,
    head  bigint not null default 0
);

create table events (
    aggregate_type text        not null,
    aggregate_id   text        not null,
    sequence       bigint      not null check (sequence > 0),
    event_type     text        not null,
    event_version  text        not null,
    payload        jsonb       not null,
    metadata       jsonb       not null,
    shard          int         not null,
    pos            bigint      not null,
    tenant         text        not null default '',
    event_id       uuid        not null default gen_random_uuid(),
    -- On a command's first event only.
    command_id     uuid,
    recorded_at    timestamptz not null default now(),
    -- postgres-es looks a stream up by type and id alone; the shard follows from the id (docs/adr/0003).
    primary key (aggregate_type, aggregate_id, sequence)
);

create unique index events_by_position on events (shard, pos);
create unique index events_by_command on events (shard, command_id) where command_id is not null;

-- The same as domain::shard_of.
create function shard_of(aggregate_id text) returns int language sql stable as $$
    select (('x' || encode(substr(sha256(convert_to($1, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint
            % (select count(*) from shards))::int
$$;

-- For writers that know nothing of shards and positions. Ours brings its own and never comes here.
create function assign_position() returns trigger language plpgsql as $$
begin
    new.shard := shard_of(new.aggregate_id);
    update shards set head = head + 1 where shard = new.shard returning head into new.pos;
    -- Whoever waits for the shard would else bring a time from before the wait.
    new.recorded_at := clock_timestamp();
    return new;
end
$$;

create trigger events_assign_position before insert on events
    for each row when (new.pos is null) execute function assign_position();

-- States of aggregates, to load them sooner. Disposable: a missing, old or unreadable one costs time, never correctness.
create table snapshots (
    aggregate_type text   not null,
    aggregate_id   text   not null,
    sequence       bigint not null,
    state_version  int    not null,
    state          jsonb  not null,
    primary key (aggregate_type, aggregate_id)
);

-- Who is alive in a role, and which shards it owns there: database time, renewed twice a second.
create table processes (
    role    text        not null,
    process uuid        not null,
    seen_at timestamptz not null,
    primary key (role, process)
);

create table leases (
    role       text        not null,
    shard      int         not null,
    owner      uuid        not null,
    expires_at timestamptz not null,
    primary key (role, shard)
);

-- Events that a consumer could not take in. A person sees them and retries them.
create table dead_letters (
    consumer       text        not null,
    aggregate_type text        not null,
    aggregate_id   text        not null,
    shard          int         not null,
    pos            bigint      not null,
    sequence       bigint      not null,
    event_type     text        not null,
    error          text        not null,
    parked_at      timestamptz not null default now(),
    retry_at       timestamptz,
    primary key (consumer, shard, pos)
);

-- How far each projection has read each shard; advanced in the transaction that writes the view.
create table checkpoints (
    projection text   not null,
    shard      int    not null,
    pos        bigint not null default 0,
    primary key (projection, shard)
);
