using System.Collections.Immutable;
using Kcore.Daemon.Cluster.Members;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Cluster.Members;

public sealed class ShownEntriesTests
{
    private static readonly NodeId A = new((UInt128)1);
    private static readonly NodeId B = new((UInt128)2);
    private readonly CatalogState _catalog = new(
        [new OriginHead(A, 1, 2, 0, true), new OriginHead(B, 1, 2, 0, true)],
        [Entry(A, "x", 1), Entry(A, "gone", 2, EntryFlags.Tombstone), Entry(B, "y", 1), Entry(B, "z", 2)]);

    [Fact]
    public void The_live_facts_of_all_origins_stand_one_after_another() =>
        Assert.Equal(["x", "y", "z"], new ShownEntries().All(_catalog.Origins, default, []).Select(e => e.Key));

    [Fact]
    public void Of_this_node_those_are_shown_that_are_given() =>
        Assert.Equal(["old", "y", "z"], new ShownEntries().All(_catalog.Origins, A, [Entry(A, "old", 1)]).Select(e => e.Key));

    [Fact]
    public void An_origin_of_which_nothing_was_told_is_not_put_together_again()
    {
        var shown = new ShownEntries();
        ImmutableArray<CatalogEntry> a = shown.Of(_catalog.Find(A)!), b = shown.Of(_catalog.Find(B)!);
        shown.Void([A]);
        Assert.True(a != shown.Of(_catalog.Find(A)!));
        Assert.True(b == shown.Of(_catalog.Find(B)!));
    }

    private static CatalogEntry Entry(NodeId origin, string key, ulong version, EntryFlags flags = default) =>
        CatalogEntry.Create(origin, key, version, 10, flags, new byte[] { 1 });
}
