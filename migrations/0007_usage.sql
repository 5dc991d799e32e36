-- What people's replies spent, by the account of whoever asked for them. The figures outlive a deleted conversation: there
-- is nothing of what was said in them.

create schema usage;

-- Replies that have not ended.
create table usage.replies (
    conversation uuid not null,
    reply        uuid not null,
    account      uuid not null,
    -- What the attempt asks that runs; none while none runs.
    model        text,
    primary key (conversation, reply)
);

create table usage.spending (
    account      uuid   not null,
    -- Of UTC, on which the attempts ended.
    day          date   not null,
    model        text   not null,
    conversation uuid   not null,
    attempts     bigint not null,
    failed       bigint not null,
    input        bigint not null,
    cached_input bigint not null,
    cache_write  bigint not null,
    output       bigint not null,
    reasoning    bigint not null,
    micro_usd    bigint not null,
    unpriced     bigint not null,
    estimated    bigint not null,
    primary key (account, day, model, conversation)
);

-- For a conversation that is taken in anew.
create index spending_conversation on usage.spending (conversation);

select grant_view('usage');
