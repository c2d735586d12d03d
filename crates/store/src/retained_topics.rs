//! Topics under which an MQTT broker keeps messages of this server. They are noted before a message is sent, so that none is left at the
//! broker when its camera is gone, whatever happened between.

use crate::Store;
use crate::error::{Error, Result};
use std::collections::BTreeSet;

impl Store {
    /// All of them.
    pub async fn retained_topics(&self) -> Result<BTreeSet<String>> {
        let topics: Vec<String> = sqlx::query_scalar("select topic from retained_topics")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading topics", error))?;
        Ok(topics.into_iter().collect())
    }

    /// Notes topics under which messages will be kept.
    pub async fn add_retained_topics(&self, topics: &[String]) -> Result<()> {
        let failed = |error| Error::from_sql("noting topics", error);
        let mut transaction = self.begin_write("noting topics").await?;
        for topic in topics {
            sqlx::query("insert into retained_topics (topic) values ($1) on conflict do nothing")
                .bind(topic)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// The broker has emptied a topic.
    pub async fn remove_retained_topic(&self, topic: &str) -> Result<()> {
        sqlx::query("delete from retained_topics where topic = $1")
            .bind(topic)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("forgetting a topic", error))?;
        Ok(())
    }
}
