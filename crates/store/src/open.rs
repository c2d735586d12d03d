//! Opening a data folder: its lock, its connections, its upgrades.

use crate::changes::Changes;
use crate::error::{Error, Result};
use crate::{Store, sources};
use sqlx::Connection as _;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::cmp::Ordering;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Held by the process that uses the folder. A server writes its address into it.
const LOCK_FILE: &str = "lock";
pub(crate) const DATABASE_FILE: &str = "pigweight.sqlite";
/// SQLite has one writer at a time; readers do not wait for it.
pub(crate) const MAX_CONNECTIONS: u32 = 4;
/// The upgrades, each a file in `upgrades/`.
pub(crate) static UPGRADES: sqlx::migrate::Migrator = sqlx::migrate!("./upgrades");

impl Store {
    /// Opens the store in a data folder and upgrades it; creates both if they are missing.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] if another process has the folder, [`Error::FolderUnusable`] and [`Error::Upgrade`].
    pub async fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(unusable(folder))?;
        // Not truncated before it is locked: its owner may have left its address there.
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(folder.join(LOCK_FILE))
            .map_err(unusable(folder))?;
        lock_folder(&lock, folder)?;
        // The address of an earlier owner.
        lock.set_len(0).map_err(unusable(folder))?;
        keep_from_others(&folder.join(DATABASE_FILE)).map_err(unusable(folder))?;
        let changes = Changes::new();
        let pool = connect(options(folder), MAX_CONNECTIONS, &changes).await?;
        UPGRADES.run(&pool).await.map_err(not_upgraded)?;
        let store = Self { pool, lock: Some(Arc::new(lock)), folder: Arc::new(folder.to_owned()), changes };
        sources::give_uploads_their_own(&store).await?;
        Ok(store)
    }

    /// Opens the store in a data folder to read it. Nothing is created, upgraded or changed.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::NotUpgraded`] and [`Error::Upgrade`] if the store is of an earlier or a later version, and
    /// [`Error::NoStore`].
    pub async fn open_read_only(folder: &Path) -> Result<Self> {
        if !Self::is_in(folder) {
            return Err(Error::NoStore { folder: folder.to_owned() });
        }
        let lock = match File::open(folder.join(LOCK_FILE)) {
            Ok(lock) => {
                lock_folder(&lock, folder)?;
                Some(Arc::new(lock))
            }
            // Never locked before: for example a copy.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unusable(folder)(error)),
        };
        // The journal mode is the file's own; asking for one would write.
        let options = SqliteConnectOptions::new()
            .filename(folder.join(DATABASE_FILE))
            .read_only(true)
            .foreign_keys(true);
        let changes = Changes::new();
        let pool = connect(options, 1, &changes).await?;
        let store = Self { pool, lock, folder: Arc::new(folder.to_owned()), changes };
        store.check_version().await?;
        Ok(store)
    }

    async fn check_version(&self) -> Result<()> {
        let newest: i64 = UPGRADES.iter().map(|upgrade| upgrade.version).max().unwrap_or(0);
        let here: Option<i64> = sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| not_upgraded(error.into()))?;
        let here = here.unwrap_or(0);
        match here.cmp(&newest) {
            Ordering::Equal => Ok(()),
            Ordering::Less => Err(Error::NotUpgraded { folder: self.folder.as_ref().clone(), here, newest }),
            Ordering::Greater => {
                Err(Error::Upgrade { reason: format!("it is at upgrade {here}, this program at {newest}") })
            }
        }
    }

    /// The same store over connections of its own, for background threads. The operating system may suspend such a thread
    /// while it holds a connection; requests must not wait for that.
    pub async fn background_connections(&self) -> Result<Self> {
        let pool = connect(options(&self.folder), MAX_CONNECTIONS, &self.changes).await?;
        Ok(Self { pool, ..self.clone() })
    }

    /// Whether a data folder holds a store.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(DATABASE_FILE).is_file()
    }

    /// Leaves the address of this process in the folder, for commands that find it in use.
    pub fn announce(&self, address: &str) -> Result<()> {
        let Some(mut lock) = self.lock.as_deref() else { return Ok(()) };
        lock.write_all(address.as_bytes()).map_err(unusable(&self.folder))
    }

    /// The address that the process which uses a folder has left.
    pub fn owner(folder: &Path) -> Option<String> {
        let address = std::fs::read_to_string(folder.join(LOCK_FILE)).ok()?;
        (!address.is_empty()).then_some(address)
    }

    /// Closes all connections; everything written is on the disk.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

/// A damaged file and a full disk are other matters than a store of another version.
fn not_upgraded(error: MigrateError) -> Error {
    let reason = error.to_string();
    let source = match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => source,
        _ => return Error::Upgrade { reason },
    };
    match Error::from_sql("upgrading the store", source) {
        Error::Sql { .. } => Error::Upgrade { reason },
        known => known,
    }
}

fn unusable(folder: &Path) -> impl Fn(std::io::Error) -> Error {
    let folder: PathBuf = folder.to_owned();
    move |error| Error::FolderUnusable { folder: folder.clone(), reason: error.to_string() }
}

/// The database holds the passwords of cameras: only its owner may read it. SQLite gives its journals the same permissions.
fn keep_from_others(database: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(database)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}

fn lock_folder(lock: &File, folder: &Path) -> Result<()> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::FolderInUse { folder: folder.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(unusable(folder)(error)),
    }
}

fn options(folder: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(folder.join(DATABASE_FILE))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A checkpoint is written every few seconds, so surviving a power cut as well costs nothing that is felt.
        .synchronous(SqliteSynchronous::Full)
        // What is deleted is overwritten: passwords of removed cameras among it.
        .pragma("secure_delete", "fast")
        .foreign_keys(true)
}

async fn connect(options: SqliteConnectOptions, number: u32, changes: &Changes) -> Result<SqlitePool> {
    let failed = |error| Error::from_sql("opening the store", error);
    let pool = SqlitePoolOptions::new()
        .max_connections(number)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect({
            let changes = changes.clone();
            move |connection, _| {
                let changes = changes.clone();
                Box::pin(async move { changes.follow(connection).await })
            }
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // On a full disk SQLite rolls a transaction back by itself, while the driver still counts it as open. A later
                // transaction would then not begin or never end, and readers would see its snapshot for ever. A connection
                // on which a rollback succeeds had something open; one on which the driver counts something has been
                // rolled back behind its back. Both are closed.
                let has_nothing_open = sqlx::query("rollback").execute(&mut *connection).await.is_err();
                Ok(has_nothing_open && !connection.is_in_transaction())
            })
        })
        .connect_with(options)
        .await
        .map_err(failed)?;
    // All connections now: each has a thread, which would otherwise inherit the priority of the thread that needed it first.
    let mut connections = Vec::new();
    for _ in 0..number {
        connections.push(pool.acquire().await.map_err(failed)?);
    }
    drop(connections);
    Ok(pool)
}
