//! What people have set for themselves: providers, the default one, limits. Never a key, sealed or not.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::account::{Auth, Command, Event, Limits, Model};
use domain::{AccountId, ProviderId, Tenant, UserId};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgTransaction};
use uuid::Uuid;

use crate::projection::{Happened, News, Projection, from_json, to_json};

/// The name of this view.
pub const NAME: &str = "account";

/// A row of `accounts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    id: AccountId,
    tenant: Tenant,
    user_id: UserId,
    default_provider: Option<ProviderId>,
    default_model: Option<String>,
    limits: Limits,
    sequence: u64,
    updated_at: DateTime<Utc>,
}

/// A row of `provider_configs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ConfigRow {
    account: AccountId,
    kek: Option<u32>,
    #[serde(flatten)]
    view: ProviderConfigView,
}

/// A provider as a person has configured it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ts_rs::TS)]
pub struct ProviderConfigView {
    /// Which.
    #[ts(type = "string")]
    pub provider: ProviderId,
    /// How it is spoken to; none means as the catalogue says.
    pub protocol: Option<String>,
    /// Where it is; none means where the catalogue says.
    pub base_url: Option<String>,
    /// The models that it is asked for; with none, every one that it has.
    pub models: Vec<Model>,
    /// The last four characters of its key, empty when the key is too short to show as much; none without a key.
    pub last_four: Option<String>,
    /// How it is shown its key; none means as the catalogue says, else as is usual for its protocol.
    pub auth: Option<Auth>,
    /// True when it calls the limit of an answer `max_tokens`; none means as is known.
    pub max_tokens: Option<bool>,
    /// When it was last changed.
    #[ts(type = "string")]
    pub updated_at: DateTime<Utc>,
}

/// The provider that answers where a person chose none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct DefaultView {
    /// Which; none means the installation's default.
    #[ts(type = "string | null")]
    pub provider: Option<ProviderId>,
    /// Its model; none means the first that it offers.
    pub model: Option<String>,
}

#[derive(Default)]
pub(crate) struct Account {
    accounts: BTreeMap<AccountId, Row>,
    /// The configurations that a batch touches; none when they are removed.
    configs: BTreeMap<(AccountId, ProviderId), Option<ConfigRow>>,
}

impl Projection for Account {
    const NAME: &'static str = NAME;
    type Of = Command;
    const TABLES: &'static [&'static str] = &["accounts", "provider_configs"];

    async fn load(tx: &mut PgTransaction<'_>, batch: &[Happened<'_, Command>]) -> Result<Self, sqlx::Error> {
        let ids: Vec<Uuid> = batch.iter().map(|happened| happened.id.0).collect();
        let rows: Vec<String> = sqlx::query_scalar("select to_json(a)::text from accounts a where id = any($1)")
            .bind(&ids)
            .fetch_all(&mut **tx)
            .await?;
        let accounts = rows.iter().map(|row| from_json::<Row>(row).map(|row| (row.id, row)));
        let accounts = accounts.collect::<Result<_, _>>()?;
        // A person has few, so all of those whose account is touched.
        let rows: Vec<String> =
            sqlx::query_scalar("select to_json(c)::text from provider_configs c where account = any($1)")
                .bind(&ids)
                .fetch_all(&mut **tx)
                .await?;
        let configs = rows
            .iter()
            .map(|row| from_json::<ConfigRow>(row).map(|row| ((row.account, row.view.provider.clone()), Some(row))));
        Ok(Self { accounts, configs: configs.collect::<Result<_, _>>()? })
    }

    fn apply(&mut self, happened: &Happened<'_, Command>) {
        let Happened { id, sequence, at, event, .. } = happened;
        if let Event::AccountOpened { tenant, user } = event {
            self.accounts.entry(*id).or_insert_with(|| begun(*id, tenant, user, *at));
        }
        let Some(account) = self.accounts.get_mut(id) else { return };
        (account.sequence, account.updated_at) = (*sequence, *at);
        match event {
            Event::AccountOpened { .. } => {}
            Event::ProviderConfigSaved { provider, protocol, base_url, models, key, auth, max_tokens } => {
                let view = ProviderConfigView {
                    provider: provider.clone(),
                    protocol: protocol.clone(),
                    base_url: base_url.clone(),
                    models: models.clone(),
                    last_four: key.as_ref().map(|key| key.last_four.clone()),
                    auth: auth.clone(),
                    max_tokens: max_tokens.then_some(true),
                    updated_at: *at,
                };
                let row = ConfigRow { account: *id, kek: key.as_ref().map(|key| key.kek), view };
                self.configs.insert((*id, provider.clone()), Some(row));
            }
            Event::ProviderConfigRemoved { provider } => {
                self.configs.insert((*id, provider.clone()), None);
            }
            Event::DefaultProviderSet { provider, model } => {
                account.default_provider.clone_from(provider);
                account.default_model.clone_from(model);
            }
            Event::LimitsSet { limits } => account.limits = *limits,
            Event::KeyRewrapped { provider, kek, .. } => {
                if let Some(Some(row)) = self.configs.get_mut(&(*id, provider.clone())) {
                    row.kek = Some(*kek);
                }
            }
        }
    }

    async fn save(self, tx: &mut PgTransaction<'_>) -> Result<Vec<News>, sqlx::Error> {
        let accounts: Vec<&Row> = self.accounts.values().collect();
        sqlx::query(
            "insert into accounts select * from json_populate_recordset(null::accounts, $1::json)
             on conflict (id) do update set
                 default_provider = excluded.default_provider, default_model = excluded.default_model,
                 limits = excluded.limits, sequence = excluded.sequence, updated_at = excluded.updated_at",
        )
        .bind(to_json(&accounts)?)
        .execute(&mut **tx)
        .await?;
        let removed = self.configs.iter().filter(|(_, row)| row.is_none()).map(|((id, provider), _)| (id.0, provider));
        let (ids, providers): (Vec<Uuid>, Vec<&str>) = removed.map(|(id, provider)| (id, provider.as_str())).unzip();
        sqlx::query(
            "delete from provider_configs c using unnest($1::uuid[], $2::text[]) as removed(account, provider)
             where c.account = removed.account and c.provider = removed.provider",
        )
        .bind(&ids)
        .bind(&providers)
        .execute(&mut **tx)
        .await?;
        let configs: Vec<&ConfigRow> = self.configs.values().flatten().collect();
        sqlx::query(
            "insert into provider_configs select * from json_populate_recordset(null::provider_configs, $1::json)
             on conflict (account, provider) do update set
                 protocol = excluded.protocol, base_url = excluded.base_url, models = excluded.models,
                 last_four = excluded.last_four, kek = excluded.kek, auth = excluded.auth,
                 max_tokens = excluded.max_tokens, updated_at = excluded.updated_at",
        )
        .bind(to_json(&configs)?)
        .execute(&mut **tx)
        .await?;
        Ok(Vec::new())
    }

    async fn clear(tx: &mut PgTransaction<'_>, id: AccountId) -> Result<(), sqlx::Error> {
        for sql in ["delete from accounts where id = $1", "delete from provider_configs where account = $1"] {
            sqlx::query(sql).bind(id.0).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

fn begun(id: AccountId, tenant: &Tenant, user: &UserId, at: DateTime<Utc>) -> Row {
    let (tenant, user_id) = (tenant.clone(), user.clone());
    let (default_provider, default_model, limits) = Default::default();
    Row { id, tenant, user_id, default_provider, default_model, limits, sequence: 0, updated_at: at }
}

/// The providers that an account has configured, by name.
///
/// # Errors
/// When Postgres does not answer.
pub async fn configs(db: impl PgExecutor<'_>, account: AccountId) -> Result<Vec<ProviderConfigView>, sqlx::Error> {
    let rows: Vec<String> = sqlx::query_scalar(
        "select to_json(c)::text from account.provider_configs c where account = $1 order by provider",
    )
    .bind(account.0)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| from_json::<ConfigRow>(row).map(|row| row.view)).collect()
}

/// The default provider of an account and its limits; those of one that has not begun are none.
///
/// # Errors
/// When Postgres does not answer.
pub async fn settings(db: impl PgExecutor<'_>, account: AccountId) -> Result<(DefaultView, Limits), sqlx::Error> {
    let row: Option<String> = sqlx::query_scalar("select to_json(a)::text from account.accounts a where id = $1")
        .bind(account.0)
        .fetch_optional(db)
        .await?;
    let row: Option<Row> = row.as_deref().map(from_json).transpose()?;
    Ok(row.map_or_else(Default::default, |row| {
        (DefaultView { provider: row.default_provider, model: row.default_model }, row.limits)
    }))
}
