using Kcore.Daemon.Storage;
using Kcore.TestKit.Processes;

namespace Kcore.Daemon.Tests.Storage;

public sealed class StateDatabaseTests : IDisposable
{
    private readonly TestDatabase _test = new();

    [Fact]
    public void A_transaction_that_returned_is_found_again()
    {
        new MetaStore(_test.Database).Set(("a", "text"), ("b", (UInt128)7), ("c", 8UL));

        var meta = new MetaStore(_test.Reopen());

        Assert.Equal("text", meta.Text("a"));
        Assert.Equal((UInt128)7, meta.Id("b"));
        Assert.Equal(8UL, meta.Number("c"));
        Assert.Null(meta.Number("a"));
        Assert.Null(meta.Text("missing"));
    }

    [Fact]
    public void A_transaction_that_failed_left_nothing()
    {
        Assert.Throws<StorageException>(() => _test.Database.Write(c =>
        {
            SqlStatement.Run(c, "INSERT INTO contact (address) VALUES ('192.0.2.1:7946')");
            SqlStatement.Run(c, "INSERT INTO nothing VALUES (1)");
        }));

        Assert.Empty(new MetaStore(_test.Database).Contacts());
    }

    [Fact]
    public void A_value_is_removed_by_setting_it_to_nothing()
    {
        var meta = new MetaStore(_test.Database);
        meta.Set(("a", "text"));
        meta.Set(("a", null));

        Assert.Null(meta.Text("a"));
    }

    [Fact]
    public void Contacts_are_replaced_as_a_whole()
    {
        var meta = new MetaStore(_test.Database);
        meta.SetContacts(["192.0.2.2:7946", "192.0.2.1:7946", "192.0.2.1:7946"]);
        Assert.Equal(["192.0.2.1:7946", "192.0.2.2:7946"], meta.Contacts());

        meta.SetContacts(["192.0.2.3:7946"]);
        Assert.Equal(["192.0.2.3:7946"], meta.Contacts());
    }

    [Fact]
    public void A_database_of_a_newer_version_is_refused_untouched()
    {
        _test.Database.Write(c => SqlStatement.Run(c, "PRAGMA user_version=2"));
        _test.Database.Dispose();

        StorageException refusal = Assert.Throws<StorageException>(() => StateDatabase.Open(_test.File));

        Assert.Contains("newer version", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(_test.File, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_database_is_told_so()
    {
        _test.Database.Dispose();
        File.WriteAllText(_test.File, new string('x', 8192));

        Assert.Contains(_test.File, Assert.Throws<StorageException>(() => StateDatabase.Open(_test.File)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_path_that_cannot_be_opened_is_told_so() =>
        Assert.Throws<StorageException>(() => StateDatabase.Open(Path.Combine(_test.File, "below-a-file")));

    [Fact]
    public void Every_transaction_is_synchronous_and_in_the_write_ahead_log()
    {
        Assert.Equal("wal", Pragma("journal_mode"));
        Assert.Equal("2", Pragma("synchronous"));
    }

    public void Dispose() => _test.Dispose();

    private string Pragma(string name) => Assert.Single(_test.Database.Read(c => SqlStatement.Query(c, $"PRAGMA {name}", r => r.GetString(0))));

    [SkippableFact]
    public async Task A_full_disk_refuses_writes_and_takes_them_again_when_there_is_room()
    {
        Skip.IfNot(Environment.UserName == "root", "mounting a small file system needs root");
        DirectoryInfo disk = Directory.CreateTempSubdirectory("kcore-full-");
        (await Command.RunAsync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk.FullName])).OrThrow();
        try
        {
            using StateDatabase database = StateDatabase.Open(Path.Combine(disk.FullName, "state.db"));
            Insert(database, "before");
            string ballast = Path.Combine(disk.FullName, "ballast");
            Fill(ballast);

            // The failure leaves no half-open transaction behind: the second write fails like the first, not otherwise.
            Assert.Throws<StorageException>(() => Insert(database, "lost"));
            Assert.Throws<StorageException>(() => Insert(database, "lost as well"));
            File.Delete(ballast);
            Insert(database, "after");

            Assert.Equal(["after", "before"], database.Read(c => SqlStatement.Query(c, "SELECT key FROM meta ORDER BY key", r => r.GetString(0))));
        }
        finally
        {
            (await Command.RunAsync("umount", [disk.FullName])).OrThrow();
            disk.Delete();
        }
    }

    private static void Insert(StateDatabase database, string key) =>
        database.Write(c => SqlStatement.Run(c, "INSERT INTO meta (key, value) VALUES ($0, $1)", key, new byte[64 * 1024]));

    private static void Fill(string path)
    {
        using FileStream file = File.Create(path, bufferSize: 0);
        try
        {
            while (true)
            {
                file.Write(new byte[4096]);
            }
        }
        catch (IOException)
        {
            // Full, as wanted.
        }
    }
}
