using Kcore.Daemon.Storage.RaftLog;
using Kcore.Daemon.Tests.Ipam;
using Kcore.Raft;
using Kcore.TestKit.Disks;

namespace Kcore.Daemon.Tests.Storage;

public sealed class RaftStoreTests
{
    private static readonly StoreIdentity Identity = new(Commands.Id(1), Commands.Id(2), Commands.Cluster, 1, "machine");

    [Fact]
    public void A_founded_store_holds_the_found_command_and_itself_as_the_only_voter()
    {
        var files = new MemoryFileLayer();
        RaftStore.Found(files, Identity, new byte[] { 7 }, 2048);
        using (RaftStore store = RaftStore.Open(files, 2048))
        {
            Assert.Equal(Identity, store.Identity);
            Assert.Equal([1UL, 2UL], store.InitialState.Entries.Select(entry => entry.Index));
            Assert.Equal([(byte)7], store.InitialState.Entries[0].Data.ToArray());
            Assert.True(ConfigurationCodec.TryDecode(store.InitialState.Entries[1].Data.Span, out Configuration? configuration));
            Assert.Equal(store.Member, Assert.Single(configuration.Voters));
            Assert.Throws<StoreBusyException>(() => RaftStore.Open(files, 2048));
        }

        Assert.Throws<InvalidOperationException>(() => RaftStore.Found(files, Identity, new byte[] { 7 }, 2048));
    }

    [Fact]
    public void A_later_entry_of_an_index_replaces_the_earlier_one_and_all_behind_it()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            store.Write(Batch(1, 1, Entry(1, 1), Entry(2, 1), Entry(3, 1)));
            store.Write(Batch(2, 2, Entry(2, 2)));
        }

        using RaftStore again = RaftStore.Open(files, 2048);
        Assert.Equal([(1UL, 1UL), (2UL, 2UL)], again.InitialState.Entries.Select(entry => (entry.Index, entry.Term)));
        Assert.Equal(2UL, again.InitialState.HardState.Term);
    }

    [Fact]
    public void A_snapshot_of_the_leader_replaces_the_log()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            store.Write(Batch(1, 1, Entry(1, 1), Entry(2, 1)));
            store.Write(Batch(2, 3) with { Snapshot = Snapshot(10, 3) });
            store.Write(Batch(3, 3, Entry(11, 3)));
        }

        using RaftStore again = RaftStore.Open(files, 2048);
        Assert.Equal(10UL, again.InitialState.Snapshot.Index);
        Assert.Equal([11UL], again.InitialState.Entries.Select(entry => entry.Index));
    }

    [Fact]
    public void A_snapshot_of_the_leader_that_the_log_did_not_learn_of_leaves_no_hole_behind_it()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            store.Write(Batch(1, 1, Entry(1, 1), Entry(2, 1)));

            // The file of the snapshot takes five operations; the sixth is the write of the batch.
            files.PowerCutAt = files.Operations + 6;
            Assert.Throws<PowerCutException>(() => store.Write(Batch(2, 3) with { Snapshot = Snapshot(10, 3) }));
        }

        MemoryFileLayer booted = files.AfterPowerCut(Survivors.None, new Random(1));
        using (RaftStore store = RaftStore.Open(booted, 2048))
        {
            Assert.Equal(10UL, store.InitialState.Snapshot.Index);
            store.Write(Batch(1, 3, Entry(11, 3)));
        }

        using RaftStore again = RaftStore.Open(booted, 2048);
        Assert.Equal([11UL], again.InitialState.Entries.Select(entry => entry.Index));
    }

    [Fact]
    public void P17_a_last_batch_that_was_written_whole_and_changed_is_a_verdict_and_a_torn_one_is_not()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            store.Write(Batch(1, 1, new RaftEntry(1, 1, RaftEntryKind.Command, Enumerable.Repeat((byte)7, 1400).ToArray())));
        }

        string segment = files.List().Last(name => name.StartsWith("segment-", StringComparison.Ordinal));
        files.FlipBit(segment, 2000);
        Assert.Throws<CorruptStoreException>(() => RaftStore.Open(files.AfterKill(), 2048));
        files.FlipBit(segment, 2000);
        using RaftStore open = RaftStore.Open(files, 2048);
        files.PowerCutAt = files.Operations + 5;
        files.IsCutAfter = true;
        Assert.Throws<PowerCutException>(() => open.Write(Batch(2, 1, new RaftEntry(2, 1, RaftEntryKind.Command, Enumerable.Repeat((byte)7, 1400).ToArray()))));
        foreach (Survivors survivors in new[] { Survivors.None, Survivors.First, Survivors.Last, Survivors.Random })
        {
            using RaftStore torn = RaftStore.Open(files.AfterPowerCut(survivors, new Random(3)), 2048);
            Assert.Single(torn.InitialState.Entries);
        }
    }

    [Fact]
    public void P17_an_intact_batch_that_is_not_the_next_of_the_chain_is_a_verdict()
    {
        var files = new MemoryFileLayer();
        RaftStore.Join(files, Identity, 64 * 1024);
        using (RaftStore store = RaftStore.Open(files, 64 * 1024))
        {
            store.Write(Batch(1, 1, Entry(1, 1)));
            store.Write(Batch(2, 1, Entry(2, 1)));
            store.Write(Batch(3, 1, Entry(3, 1)));
        }

        string name = files.List().Last(file => file.StartsWith("segment-", StringComparison.Ordinal));
        byte[] segment = files.Read(name);
        int last = LogBatchCodec.SectorBytes * (Array.FindLastIndex(segment, b => b != 0) / LogBatchCodec.SectorBytes);
        using (IStoreFile file = files.Open(name))
        {
            file.Write(last, segment.AsSpan(last - LogBatchCodec.SectorBytes, LogBatchCodec.SectorBytes));
        }

        Assert.Throws<CorruptStoreException>(() => RaftStore.Open(files, 64 * 1024));
    }

    [Fact]
    public void I7_a_log_that_ends_before_what_it_knows_to_be_committed_is_a_verdict()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            store.Write(Batch(1, 1, Entry(1, 1)));
            store.Write(Batch(2, 1) with { HardState = new HardState(1, MemberId.None, 2) });
        }

        Assert.Throws<CorruptStoreException>(() => RaftStore.Open(files, 2048));
    }

    [Fact]
    public void P17_a_log_that_does_not_reach_the_snapshot_taken_of_it_is_a_verdict()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            store.Write(Batch(1, 1, Entry(1, 1), Entry(2, 1)));
            store.SaveSnapshot(Snapshot(10, 1), 1);
        }

        Assert.Throws<CorruptStoreException>(() => RaftStore.Open(files, 2048));
    }

    [Fact]
    public void One_batch_is_one_sync_and_waits_for_no_metadata()
    {
        var files = new MemoryFileLayer();
        using RaftStore store = Joined(files);
        (int syncs, int full) = (files.Syncs, files.FullSyncs);
        store.Write(Batch(1, 1, Entry(1, 1), Entry(2, 1)));
        Assert.Equal((syncs + 1, full), (files.Syncs, files.FullSyncs));
    }

    [Fact]
    public void P19_I10_a_store_that_is_made_anew_on_the_same_node_is_another_member()
    {
        var first = new MemoryFileLayer();
        var second = new MemoryFileLayer();
        RaftStore.Found(first, Identity, new byte[] { 7 }, 2048);
        RaftStore.Found(second, Identity with { StoreId = Commands.Id(5) }, new byte[] { 7 }, 2048);
        using RaftStore before = RaftStore.Open(first, 2048);
        using RaftStore after = RaftStore.Open(second, 2048);
        Assert.Equal(before.Member.NodeUid, after.Member.NodeUid);
        Assert.NotEqual(before.Member, after.Member);
        Assert.NotEqual(before.InitialState.Entries[1].Data.ToArray(), after.InitialState.Entries[1].Data.ToArray());
    }

    [Fact]
    public void P19_a_store_copied_to_another_machine_or_node_is_refused()
    {
        var files = new MemoryFileLayer();
        Joined(files).Dispose();
        RaftStore.Open(files, 2048, new StoreOwner(Identity.NodeUid, Identity.MachineId)).Dispose();
        Assert.Throws<ForeignStoreException>(() => RaftStore.Open(files, 2048, new StoreOwner(Identity.NodeUid, "clone")));
        Assert.Throws<ForeignStoreException>(() => RaftStore.Open(files, 2048, new StoreOwner(Commands.Id(7), Identity.MachineId)));
    }

    [Fact]
    public void On_a_full_disk_the_reserve_is_given_up_and_taken_back()
    {
        var files = new MemoryFileLayer();
        using RaftStore store = Joined(files);
        files.CapacityBytes = files.UsedBytes;
        ulong index = 0;
        while (!store.IsSpaceLow)
        {
            store.Write(Batch(index + 1, 1, Entry(++index, 1, 300)));
        }

        Assert.Throws<DiskFullException>(() =>
        {
            for (int i = 0; i < 100; i++)
            {
                store.SaveSnapshot(Snapshot(1, 1) with { Data = new byte[20_000] }, 1);
            }
        });
        store.CheckSpace();
        Assert.True(store.IsSpaceLow);
        store.Write(Batch(index + 1, 1, Entry(++index, 1)));
        files.CapacityBytes = long.MaxValue;
        store.CheckSpace();
        Assert.False(store.IsSpaceLow);
    }

    [Fact]
    public void A_flipped_bit_anywhere_before_the_last_write_is_a_verdict_and_never_a_silent_loss()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            for (ulong i = 1; i <= 8; i++)
            {
                store.Write(Batch(i, 1, Entry(i, 1, 300)));
            }
        }

        string[] segments = [.. files.List().Where(name => name.StartsWith("segment-", StringComparison.Ordinal))];
        Assert.True(segments.Length > 2);
        int verdicts = 0;
        foreach (string segment in segments)
        {
            for (int offset = 0; offset < files.Read(segment).Length; offset += 61)
            {
                files.FlipBit(segment, offset);
                MemoryFileLayer damaged = files.AfterPowerCut(Survivors.All, new Random(1));
                files.FlipBit(segment, offset);
                try
                {
                    using RaftStore store = RaftStore.Open(damaged, 2048);
                    Assert.InRange(store.InitialState.Entries.Count, segment == segments[^1] ? 7 : 8, 8);
                }
                catch (CorruptStoreException)
                {
                    verdicts++;
                }
            }
        }

        Assert.True(verdicts > 20, $"{verdicts} verdicts");
    }

    [Fact]
    public void A_missing_segment_or_snapshot_is_a_verdict()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            for (ulong i = 1; i <= 8; i++)
            {
                store.Write(Batch(i, 1, Entry(i, 1, 300)));
            }
        }

        string[] segments = [.. files.List().Where(name => name.StartsWith("segment-", StringComparison.Ordinal))];
        files.Delete(segments[1]);
        Assert.Throws<CorruptStoreException>(() => RaftStore.Open(files, 2048));
    }

    [Fact]
    public void After_a_failed_sync_every_further_write_is_refused()
    {
        var files = new MemoryFileLayer();
        using RaftStore store = Joined(files);
        files.FailSyncs = true;
        Assert.Throws<IOException>(() => store.Write(Batch(1, 1, Entry(1, 1))));
        files.FailSyncs = false;
        Assert.Throws<IOException>(() => store.Write(Batch(1, 1, Entry(1, 1))));
    }

    [Fact]
    public void A_batch_larger_than_a_segment_gets_one_of_its_size()
    {
        var files = new MemoryFileLayer();
        using (RaftStore store = Joined(files))
        {
            store.Write(Batch(1, 1, Entry(1, 1, 60_000)));
            store.Write(Batch(2, 1, Entry(2, 1)));
        }

        using RaftStore again = RaftStore.Open(files, 2048);
        Assert.Equal(2, again.InitialState.Entries.Count);
    }

    [Fact]
    public void A_real_directory_keeps_what_was_written()
    {
        string directory = Directory.CreateTempSubdirectory("kcore-raft-").FullName;
        try
        {
            var files = new PosixFileLayer(directory);
            Assert.Null(RaftStore.ReadIdentity(files));
            RaftStore.Found(files, Identity, new byte[] { 7 }, 64 * 1024);
            using (RaftStore store = RaftStore.Open(files, 64 * 1024))
            {
                store.Write(Batch(1, 2, Entry(3, 2)));
                store.SaveSnapshot(Snapshot(2, 1), 1);
            }

            using RaftStore again = RaftStore.Open(files, 64 * 1024);
            Assert.Equal(3, again.InitialState.Entries.Count);
            Assert.Equal(2UL, again.InitialState.Snapshot.Index);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static RaftStore Joined(MemoryFileLayer files)
    {
        RaftStore.Join(files, Identity, 2048);
        return RaftStore.Open(files, 2048);
    }

    private static StorageBatch Batch(ulong id, ulong term, params RaftEntry[] entries) =>
        new(id, new HardState(term, MemberId.None, 0), [.. entries], null);

    private static RaftEntry Entry(ulong index, ulong term, int bytes = 1) =>
        new(index, term, RaftEntryKind.Command, new byte[bytes]);

    private static RaftSnapshot Snapshot(ulong index, ulong term) =>
        new(index, term, Configuration.Of([new MemberId(Commands.Id(1), Commands.Id(2))]), 1, new byte[] { 1, 2, 3 });
}
