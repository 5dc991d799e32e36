-- What people have used of what their limits allow: kept from the log, with open_replies, by the owner of each shard
-- (docs/adr/0021).

-- Who asked for the reply, on whose account it goes; null when it was no person.
alter table open_replies add column account uuid;

-- What ended attempts spent, by the day (UTC) on which their end was recorded. A conversation has rows of its own, so that it
-- can be taken in anew.
create table spent_by_day (
    account      uuid   not null,
    day          date   not null,
    conversation uuid   not null,
    micro_usd    bigint not null,
    tokens       bigint not null,
    primary key (account, day, conversation)
);

-- What is set aside for calls under way: written by the worker before the call, removed with the row's attempt. `pos` is where
-- the attempt's claim stands in the log.
create table reservations (
    conversation uuid   not null,
    reply        uuid   not null,
    attempt      int    not null,
    account      uuid   not null,
    shard        int    not null,
    pos          bigint not null,
    micro_usd    bigint not null,
    tokens       bigint not null,
    primary key (conversation, reply, attempt)
);

create index reservations_by_account on reservations (account);
create index reservations_by_shard on reservations (shard);

-- The calls of a person's last minute. Whoever sets something aside locks the person's row.
create table call_counts (
    account uuid        primary key,
    minute  timestamptz not null,
    calls   bigint      not null
);

grant select, insert, update, delete on spent_by_day, reservations, call_counts to bestchat_worker;

-- What was spent before is taken in from the log.
delete from open_replies;
delete from checkpoints where projection = 'open_replies';
