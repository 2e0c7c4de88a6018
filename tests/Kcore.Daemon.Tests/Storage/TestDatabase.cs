using Kcore.Daemon.Storage;

namespace Kcore.Daemon.Tests.Storage;

/// <summary>A state database in a directory of its own, gone with the test.</summary>
internal sealed class TestDatabase : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kcore-db-");

    public TestDatabase() => Database = StateDatabase.Open(File);

    public string File => Path.Combine(_directory.FullName, "state.db");

    public StateDatabase Database { get; private set; }

    /// <summary>What a daemon started again finds.</summary>
    public StateDatabase Reopen()
    {
        Database.Dispose();
        return Database = StateDatabase.Open(File);
    }

    public void Dispose()
    {
        Database.Dispose();
        _directory.Delete(recursive: true);
    }
}
