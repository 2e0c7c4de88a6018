using System.Collections.Immutable;
using Kcore.Daemon.Storage;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Storage;

public sealed class CatalogStoreTests : IDisposable
{
    private static readonly NodeId A = new(0xA);
    private static readonly NodeId B = new(UInt128.MaxValue - 5);

    private readonly TestDatabase _test = new();

    [Fact]
    public void What_was_saved_is_loaded_after_a_restart()
    {
        CatalogEntry one = Entry(A, "one", 1, 10), two = Entry(B, "two", 2, 20);
        OriginHead head = new(A, 3, WireMax, 7, true), other = new(B, 1, 2, 0, false);
        Save([head, other], [one, two]);

        (List<OriginHead> heads, List<CatalogEntry> entries) = new CatalogStore(_test.Reopen()).Load();

        Assert.Equal([head, other], heads);
        Assert.Equal([one, two], entries.OrderBy(e => e.Origin));
    }

    [Fact]
    public void A_newer_version_of_an_entry_replaces_the_older()
    {
        Save([new(A, 1, 1, 0, true)], [Entry(A, "one", 1, 10)]);
        CatalogEntry newer = Entry(A, "one", 2, 11);
        Save([new(A, 1, 2, 0, true)], [newer]);

        (List<OriginHead> heads, List<CatalogEntry> entries) = Load();

        Assert.Equal(2UL, Assert.Single(heads).Version);
        Assert.Equal(newer, Assert.Single(entries));
    }

    [Fact]
    public void Removed_keys_go_and_only_they()
    {
        Save([new(A, 1, 2, 0, true)], [Entry(A, "one", 1, 10), Entry(A, "two", 2, 10), Entry(B, "one", 1, 10)]);
        Save([], [], removed: [new EntryKey(A, "one")]);

        Assert.Equal([(A, "two"), (B, "one")], Load().Entries.OrderBy(e => e.Origin).Select(e => (e.Origin, e.Key)));
    }

    [Fact]
    public void A_removed_origin_goes_with_its_head_and_may_come_back_in_the_same_write()
    {
        Save([new(A, 1, 2, 0, true), new(B, 1, 1, 0, true)], [Entry(A, "old", 1, 10), Entry(B, "one", 1, 10)]);
        Save([new(A, 2, 1, 0, true)], [Entry(A, "new", 1, 10)], removedOrigins: [A]);

        (List<OriginHead> heads, List<CatalogEntry> entries) = Load();

        Assert.Equal([(A, 2UL), (B, 1UL)], heads.Select(h => (h.Origin, h.Epoch)));
        Assert.Equal(["new", "one"], entries.OrderBy(e => e.Origin).Select(e => e.Key));
    }

    [Fact]
    public void A_node_that_changes_clusters_forgets_what_the_other_log_said_and_nothing_else()
    {
        Save([new(A, 1, 1, 0, true), new(NodeId.Raft, 1, 1, 0, true)], [Entry(A, "one", 1, 10), Entry(NodeId.Raft, "lease", 1, 17)]);

        new CatalogStore(_test.Database).RemoveRaftOrigin();

        (List<OriginHead> heads, List<CatalogEntry> entries) = Load();
        Assert.Equal(A, Assert.Single(heads).Origin);
        Assert.Equal(A, Assert.Single(entries).Origin);
    }

    [Fact]
    public void A_damaged_row_is_left_out()
    {
        Save([], [Entry(A, "one", 1, 10), Entry(A, "two", 2, 10)]);
        _test.Database.Write(c => SqlStatement.Run(c, "UPDATE entry SET raw=$0 WHERE key='one'", new byte[] { 0xC1, 0xC1 }));

        Assert.Equal("two", Assert.Single(Load().Entries).Key);
    }

    public void Dispose() => _test.Dispose();

    private static ulong WireMax => 1UL << 62;

    private static CatalogEntry Entry(NodeId origin, string key, ulong version, ushort kind) =>
        CatalogEntry.Create(origin, key, version, kind, EntryFlags.None, new byte[] { 1, 2, 3 });

    private (List<OriginHead> Heads, List<CatalogEntry> Entries) Load() => new CatalogStore(_test.Database).Load();

    private void Save(
        ImmutableArray<OriginHead> heads, ImmutableArray<CatalogEntry> entries, ImmutableArray<EntryKey>? removed = null, ImmutableArray<NodeId>? removedOrigins = null) =>
        new CatalogStore(_test.Database).Save(new GossipEffect.Persist(true, heads, entries, removed ?? [], removedOrigins ?? []));
}
