using Microsoft.Data.Sqlite;

namespace Kcore.Daemon.Storage;

/// <summary>
/// The embedded database of catalog, local attachments and events: one file, one connection, which also checkpoints.
/// A transaction that returned is on disk (WAL, synchronous=FULL). Consensus has its own log, not this.
/// </summary>
internal sealed class StateDatabase : IDisposable
{
    private const int SchemaVersion = 1;

    private readonly Lock _turn = new();
    private readonly SqliteConnection _connection;

    private StateDatabase(SqliteConnection connection) => _connection = connection;

    /// <exception cref="StorageException">The file cannot be opened, is not a database, or was written by a newer version.</exception>
    public static StateDatabase Open(string path)
    {
        SqliteLibrary.Bind();
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ConnectionString);
        try
        {
            connection.Open();
            var database = new StateDatabase(connection);
            database.Prepare(path);
            return database;
        }
        catch (SqliteException e)
        {
            connection.Dispose();
            throw new StorageException($"{path}: {e.Message}", e);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Runs statements as one durable transaction.</summary>
    /// <exception cref="StorageException">Nothing of it was stored.</exception>
    public void Write(Action<SqliteConnection> statements)
    {
        lock (_turn)
        {
            try
            {
                Execute("BEGIN IMMEDIATE");
                try
                {
                    statements(_connection);
                    Execute("COMMIT");
                }
                catch
                {
                    RollBack();
                    throw;
                }
            }
            catch (SqliteException e)
            {
                throw new StorageException($"the state database refused a write: {e.Message}", e);
            }
        }
    }

    /// <summary>Runs queries; what they return must not hold on to the connection.</summary>
    /// <exception cref="StorageException">The database could not be read.</exception>
    public T Read<T>(Func<SqliteConnection, T> query)
    {
        lock (_turn)
        {
            try
            {
                return query(_connection);
            }
            catch (SqliteException e)
            {
                throw new StorageException($"the state database could not be read: {e.Message}", e);
            }
        }
    }

    public void Dispose()
    {
        lock (_turn)
        {
            _connection.Dispose();
        }
    }

    /// <summary>
    /// A full disk or a failing one makes SQLite roll back by itself (lang_transaction.html, "Response To Errors Within A
    /// Transaction"); then there is nothing left to roll back, which is what we want.
    /// </summary>
    private void RollBack()
    {
        try
        {
            Execute("ROLLBACK");
        }
        catch (SqliteException)
        {
            // Rolled back already; the failure itself is on its way to the caller.
        }
    }

    private void Prepare(string path)
    {
        Execute("PRAGMA journal_mode=WAL");
        Execute("PRAGMA synchronous=FULL");
        Execute("PRAGMA wal_autocheckpoint=512");
        using SqliteCommand version = _connection.CreateCommand();
        version.CommandText = "PRAGMA user_version";
        long found = (long)version.ExecuteScalar()!;
        if (found > SchemaVersion)
        {
            throw new StorageException($"{path}: written by a newer version of Kcore (schema {found}, this one knows {SchemaVersion})");
        }

        if (found == 0)
        {
            Execute("BEGIN IMMEDIATE");
            Execute(
                """
                CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
                CREATE TABLE origin (
                    origin BLOB PRIMARY KEY, epoch INTEGER NOT NULL, version INTEGER NOT NULL,
                    gc_floor INTEGER NOT NULL, complete INTEGER NOT NULL) WITHOUT ROWID;
                CREATE TABLE entry (
                    origin BLOB NOT NULL, key TEXT NOT NULL, raw BLOB NOT NULL, PRIMARY KEY (origin, key)) WITHOUT ROWID;
                CREATE TABLE contact (address TEXT PRIMARY KEY) WITHOUT ROWID;
                CREATE TABLE attachment (id BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
                CREATE TABLE event (sequence INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
                """);
            Execute($"PRAGMA user_version={SchemaVersion}");
            Execute("COMMIT");
        }

        // Not of the first version, which goes on without it if it has to run once more.
        Execute(
            """
            CREATE TABLE IF NOT EXISTS reserve (
                network BLOB NOT NULL, address INTEGER NOT NULL, grant_index INTEGER NOT NULL, holder BLOB NOT NULL,
                use INTEGER NOT NULL, attachment BLOB NOT NULL, PRIMARY KEY (network, address)) WITHOUT ROWID
            """);
    }

    private void Execute(string sql)
    {
        using SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}

/// <summary>The state database failed; the message says how.</summary>
internal sealed class StorageException(string message, Exception? inner = null) : Exception(message, inner);
