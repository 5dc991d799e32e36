-- What a person may say of a provider of their own beside its address and models. Null is what no earlier version said.
alter table account.provider_configs
    add column auth       jsonb,
    add column max_tokens boolean;
