using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Ipam;

public sealed class ReplicatedStateTests
{
    [Fact]
    public void Nothing_can_be_done_before_the_cluster_is_founded()
    {
        var state = new ReplicatedState();
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Pool()).Refusal().Code);
        Assert.Equal(new ReplicatedChange.Founded(Commands.Cluster, 1), Assert.Single(state.Do(new ReplicatedCommand.Found(Commands.Cluster, 1)).Changes));
        Assert.Equal(Commands.Cluster, state.ClusterId);
        Assert.IsType<ReplicatedResult.Done>(state.Do(new ReplicatedCommand.Found(Commands.Cluster, 1)).Result);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(new ReplicatedCommand.Found(Commands.Id(5), 1)).Refusal().Code);
    }

    [Fact]
    public void A_vni_clash_is_final_and_names_both_networks_and_the_vni()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool(1, "overlay", 13000, "10.1.0.1", "10.1.0.0/24"));
        ReplicatedResult.Refused refusal = state.Do(Commands.Pool(2, "overlay0", 13000, "10.2.0.1", "10.2.0.0/24")).Refusal();
        Assert.Equal(RefusalCode.AlreadyExists, refusal.Code);
        Assert.Contains("'overlay'", refusal.Text, StringComparison.Ordinal);
        Assert.Contains("'overlay0'", refusal.Text, StringComparison.Ordinal);
        Assert.Contains("13000", refusal.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_clash_and_an_overlapping_subnet_are_refused()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool(1, "a", 1, "10.1.0.1", "10.1.0.0/16"));
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Commands.Pool(2, "a", 2, "10.2.0.1", "10.2.0.0/24")).Refusal().Code);
        ReplicatedResult.Refused overlap = state.Do(Commands.Pool(2, "b", 2, "10.1.9.1", "10.1.9.0/24")).Refusal();
        Assert.Equal(RefusalCode.FailedPrecondition, overlap.Code);
        Assert.Contains("10.1.0.0/16", overlap.Text, StringComparison.Ordinal);
        Assert.Contains("10.1.9.0/24", overlap.Text, StringComparison.Ordinal);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Pool(2, "b", 2, "10.0.0.1", "10.0.0.0/8")).Refusal().Code);
    }

    [Theory]
    [InlineData(0u, "10.1.0.1", "10.1.0.0/24")]
    [InlineData(16777216u, "10.1.0.1", "10.1.0.0/24")]
    [InlineData(1u, "10.1.0.0", "10.1.0.0/24")]
    [InlineData(1u, "10.1.0.255", "10.1.0.0/24")]
    [InlineData(1u, "10.2.0.1", "10.1.0.0/24")]
    [InlineData(1u, "10.1.0.1", "10.1.0.0/31")]
    [InlineData(1u, "10.1.0.1", "10.0.0.0/7")]
    public void A_pool_with_impossible_values_is_refused(uint vni, string gateway, string subnet) =>
        Assert.Equal(RefusalCode.InvalidArgument, Commands.Founded().Do(Commands.Pool(1, "a", vni, gateway, subnet)).Refusal().Code);

    [Fact]
    public void Creating_the_same_pool_again_is_success_and_another_one_under_its_uid_is_not()
    {
        ReplicatedState state = Commands.Founded();
        Assert.Single(state.Do(Commands.Pool(exclusions: "10.250.0.9")).Changes);
        var again = state.Do(Commands.Pool(exclusions: "10.250.0.9"));
        Assert.IsType<ReplicatedResult.Done>(again.Result);
        Assert.Empty(again.Changes);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Commands.Pool(exclusions: "10.250.0.8")).Refusal().Code);
    }

    [Fact]
    public void A_pool_goes_only_when_empty_and_its_uid_never_comes_back()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(Commands.Allocate(1));
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(1)))).Refusal().Code);
        state.Do(Commands.Release(1));
        Assert.IsType<ReplicatedChange.PoolRemoved>(Assert.Single(state.Do(new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(1)))).Changes));
        Assert.IsType<ReplicatedResult.Done>(state.Do(new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(1)))).Result);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Pool()).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, state.Do(Commands.Allocate(2)).Refusal().Code);
        Assert.IsType<ReplicatedResult.Done>(state.Do(Commands.Pool(network: 2)).Result);
    }

    [Fact]
    public void A_released_attachment_is_never_granted_again()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(Commands.Allocate(1));
        Assert.IsType<ReplicatedChange.LeaseRemoved>(Assert.Single(state.Do(Commands.Release(1)).Changes));
        Assert.IsType<ReplicatedResult.Done>(state.Do(Commands.Release(1)).Result);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Allocate(1)).Refusal().Code);
    }

    [Fact]
    public void Only_the_owning_node_releases()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(Commands.Allocate(1, node: 9));
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Release(1, node: 8)).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, state.Do(Commands.Release(2)).Refusal().Code);
    }

    [Fact]
    public void One_mac_is_held_once_in_a_network()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(Commands.Allocate(1));
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Commands.Allocate(2) with { Mac = Commands.Mac(1) }).Refusal().Code);
        Assert.Equal(RefusalCode.InvalidArgument, state.Do(Commands.Allocate(3) with { Mac = new([1, 0, 0x5E, 0, 0, 1]) }).Refusal().Code);
    }

    [Fact]
    public void A_virgin_cluster_dissolves_and_then_grants_nothing()
    {
        ReplicatedState state = Commands.Founded();
        Assert.True(state.IsVirgin);
        Assert.Equal(new ReplicatedChange.Dissolved(Commands.Id(7), 1), Assert.Single(state.Do(new ReplicatedCommand.Dissolve(Commands.Id(7))).Changes));
        Assert.Equal(Commands.Id(7), state.DissolvedInto);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Pool()).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.Dissolve(Commands.Id(8))).Refusal().Code);
    }

    [Fact]
    public void A_network_that_got_in_first_wins_over_a_dissolve_even_after_it_was_deleted()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(1))));
        Assert.False(state.IsVirgin);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.Dissolve(Commands.Id(7))).Refusal().Code);
        Assert.Null(state.DissolvedInto);
    }

    [Fact]
    public void Node_names_are_unique_and_a_removed_node_gets_no_addresses()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(9), Commands.Id(90)), "n1"));
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(8), Commands.Id(80)), "n1")).Refusal().Code);
        state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(8), Commands.Id(80)), "n2"));
        Remove(state);
        Assert.True(state.WasRemoved(Commands.Id(9)));
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Allocate(2, node: 9)).Refusal().Code);

        // Its name is free, its identity is not.
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(9), Commands.Id(91)), "n1")).Refusal().Code);
        Assert.IsType<ReplicatedResult.Done>(state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(7), Commands.Id(70)), "n1")).Result);
    }

    [Fact]
    public void A_removal_is_refused_while_leases_are_held_unless_it_ends_them_and_no_address_comes_back()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(9), Commands.Id(90)), "n1"));
        Assert.Equal(RefusalCode.FailedPrecondition, Remove(state, releaseLeases: true).Refusal().Code);
        state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(8), Commands.Id(80)), "n2"));
        Assert.Equal("10.250.0.2", state.Do(Commands.Allocate(1, node: 9)).Address());
        Assert.Equal("10.250.0.3", state.Do(Commands.Allocate(2, node: 8)).Address());

        Assert.Equal(RefusalCode.FailedPrecondition, Remove(state).Refusal().Code);
        Assert.True(state.TryGetLease(new AttachmentId(Commands.Id(1)), out _));
        Assert.Collection(
            Remove(state, releaseLeases: true).Changes,
            c => Assert.Equal(new AttachmentId(Commands.Id(1)), Assert.IsType<ReplicatedChange.LeaseRemoved>(c).Attachment),
            c => Assert.Equal("n1", Assert.IsType<ReplicatedChange.NodeRemoved>(c).Name));
        Assert.Empty(Remove(state).Changes);
        Assert.Equal(1, state.Statistics(new NetworkUid(Commands.Id(1)))!.Used);
        Assert.Equal("10.250.0.4", state.Do(Commands.Allocate(3, node: 8)).Address());
        Assert.Equal(RefusalCode.NotFound, state.Do(new ReplicatedCommand.NodeRemove(Commands.Id(77), ReleaseLeases: true)).Refusal().Code);

        var restored = new ReplicatedState();
        restored.Restore(state.TakeSnapshot());
        Assert.Equal("n1", Assert.Single(restored.EnumerateAll().OfType<ReplicatedChange.NodeRemoved>()).Name);
        Assert.True(restored.WasRemoved(Commands.Id(9)));
        Assert.True(state.StateHash().SequenceEqual(restored.StateHash()));
    }

    private static Kcore.Daemon.Cluster.Consensus.ApplyOutcome<ReplicatedResult, ReplicatedChange> Remove(ReplicatedState state, bool releaseLeases = false) =>
        state.Do(new ReplicatedCommand.NodeRemove(Commands.Id(9), releaseLeases));

    [Fact]
    public void Everything_enumerated_is_what_the_changes_added_up_to()
    {
        ReplicatedState state = Commands.Founded();
        var mirror = new List<ReplicatedChange> { new ReplicatedChange.Founded(Commands.Cluster, 1) };
        mirror.AddRange(state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(9), Commands.Id(90)), "n1"), 2).Changes);
        mirror.AddRange(state.Do(Commands.Pool() with { Exclusions = [] }, 3).Changes);
        mirror.AddRange(state.Do(Commands.Allocate(1), 4).Changes);
        var restored = new ReplicatedState();
        restored.Restore(state.TakeSnapshot());
        Assert.Equal(mirror, restored.EnumerateAll());
        Assert.True(state.StateHash().SequenceEqual(restored.StateHash()));
    }

    [Fact]
    public void A_damaged_snapshot_is_refused_and_changes_nothing()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(Commands.Allocate(1));
        byte[] snapshot = state.TakeSnapshot();
        for (int length = 0; length < snapshot.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => state.Restore(snapshot.AsMemory(0, length)));
        }

        var random = new Random(1);
        for (int i = 0; i < 5000; i++)
        {
            byte[] damaged = [.. snapshot];
            damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                new ReplicatedState().Restore(damaged);
            }
            catch (Exception e) when (e is InvalidDataException or NewerVersionException)
            {
                // A flip in a value is not noticed here: the snapshot file's checksum is for that.
            }
        }

        Assert.Equal(snapshot, state.TakeSnapshot());
    }

    [Fact]
    public void Commands_and_results_survive_their_encoding()
    {
        ReplicatedCommand[] commands =
        [
            new ReplicatedCommand.Found(Commands.Cluster, 3),
            new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(9), Commands.Id(90)), "närrisch"),
            new ReplicatedCommand.NodeRemove(Commands.Id(9), ReleaseLeases: false),
            new ReplicatedCommand.NodeRemove(Commands.Id(9), ReleaseLeases: true),
            new ReplicatedCommand.Dissolve(Commands.Id(7)),
            new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(1))),
            Commands.Allocate(1),
            Commands.Allocate(1, wanted: "10.0.0.1"),
            Commands.Release(1),
            Commands.Pool(exclusions: "10.250.0.9"),
            Commands.AllocateUntil(1, ulong.MaxValue, wanted: "10.0.0.1"),
            Commands.ReleaseOn(1),
            Commands.Pool() with { Reuse = Kcore.Daemon.Catalog.Facts.AddressReuse.Quarantine },
            new ReplicatedCommand.AdvanceClock(7, ulong.MaxValue),
            new ReplicatedCommand.Reclaim(new NetworkUid(Commands.Id(1))),
            new ReplicatedCommand.MarkOrphaned(new AttachmentId(Commands.Id(1)), Commands.Id(9)),
            new ReplicatedCommand.Adopt(new AttachmentId(Commands.Id(1)), Commands.Id(9)),
            new ReplicatedCommand.ReleaseOrphan(new AttachmentId(Commands.Id(1))),
            new ReplicatedCommand.HashState(),
            new ReplicatedCommand.CompareState(7, UInt128.MaxValue - 5),
            Commands.Pool() with { Reserve = 4 },
            Commands.Pool(exclusions: "10.250.0.9") with { Reserve = 64, Reuse = Kcore.Daemon.Catalog.Facts.AddressReuse.Quarantine },
            new ReplicatedCommand.GrantReserve(new NetworkUid(Commands.Id(1)), Commands.Id(9), Commands.Id(5), Commands.Id(6)),
            new ReplicatedCommand.UseReserve(new AttachmentId(Commands.Id(1)), new NetworkUid(Commands.Id(1)), "nic-1", Commands.Mac(1), Commands.Id(9), System.Net.IPAddress.Parse("10.0.0.254"), ulong.MaxValue),
            new ReplicatedCommand.ReturnReserve(new NetworkUid(Commands.Id(1)), Commands.Id(9), System.Net.IPAddress.Parse("10.0.0.254"), 7, WasUsed: true),
            new ReplicatedCommand.ReturnReserve(new NetworkUid(Commands.Id(1)), Commands.Id(9), System.Net.IPAddress.Parse("10.0.0.254"), 7, WasUsed: false),
            new ReplicatedCommand.JoinMesh(Commands.Id(9)),
            new ReplicatedCommand.Recover(2),
            new ReplicatedCommand.AdoptLost(new AttachmentId(Commands.Id(1)), new NetworkUid(Commands.Id(1)), "nic-1", Commands.Mac(1), Commands.Id(9), System.Net.IPAddress.Parse("10.0.0.9")),
            new ReplicatedCommand.FinishRecovery(),
        ];
        foreach (ReplicatedCommand command in commands)
        {
            Assert.True(CommandCodec.TryDecode(CommandCodec.Encode(command), out ReplicatedCommand? decoded, out bool isNewer));
            Assert.Equal(command, decoded);
            Assert.False(isNewer);
        }

        ReplicatedResult[] results =
        [
            ReplicatedResult.Done.Instance,
            new ReplicatedResult.Granted(System.Net.IPAddress.Parse("10.0.0.2"), 24, System.Net.IPAddress.Parse("10.0.0.1")),
            new ReplicatedResult.Refused(RefusalCode.ResourceExhausted, "none left"),
            new ReplicatedResult.Refused(RefusalCode.Unavailable, "too late"),
            new ReplicatedResult.Hashed(7, UInt128.MaxValue - 5),
            new ReplicatedResult.Parked(Commands.Id(5), []),
            new ReplicatedResult.Parked(Commands.Id(5), [new ParkedAddress(System.Net.IPAddress.Parse("10.0.0.254"), 7), new ParkedAddress(System.Net.IPAddress.Parse("10.0.0.253"), ulong.MaxValue)]),
        ];
        foreach (ReplicatedResult result in results)
        {
            Assert.True(ResultCodec.TryDecode(ResultCodec.Encode(result), out ReplicatedResult? decoded));
            Assert.Equal(result, decoded);
        }
    }

    [Fact]
    public void Any_bytes_are_survived_as_a_command()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        var random = new Random(2);
        byte[][] seeds = [CommandCodec.Encode(Commands.Pool(2, "b", 9)), CommandCodec.Encode(Commands.Allocate(1)), CommandCodec.Encode(Commands.Release(1))];
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = [.. seeds[i % seeds.Length][..random.Next(seeds[i % seeds.Length].Length + 1)]];
            for (int flips = random.Next(4); flips > 0 && bytes.Length > 0; flips--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            // What a leader would not write to the log is in none.
            Assert.NotNull(state.TryRefuse(bytes, out ReplicatedResult? refusal) ? refusal : state.Apply((ulong)i, bytes).Result);
            ResultCodec.TryDecode(bytes, out _);
        }
    }

    [Theory]
    [InlineData(new byte[] { 1, 200 })]
    [InlineData(new byte[] { 1, 51, 7, 7 })]
    [InlineData(new byte[] { 2, 7, 1, 2, 3 })]
    [InlineData(new byte[] { 255 })]
    public void What_a_newer_version_wrote_is_neither_executed_nor_skipped(byte[] command)
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool(), 2);
        byte[] before = state.TakeSnapshot();
        NewerVersionException refused = Assert.Throws<NewerVersionException>(() => state.Apply(3, command));
        Assert.Contains("Entry 3 of the log", refused.Message, StringComparison.Ordinal);
        Assert.Contains("upgrade kcored on this node", refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, state.TakeSnapshot());

        Assert.True(state.TryRefuse(command, out ReplicatedResult? answer));
        Assert.Equal(RefusalCode.FailedPrecondition, Assert.IsType<ReplicatedResult.Refused>(answer).Code);
        Assert.Equal(before, state.TakeSnapshot());
    }

    [Theory]
    [InlineData(new byte[] { })]
    [InlineData(new byte[] { 0 })]
    [InlineData(new byte[] { 1 })]
    [InlineData(new byte[] { 1, 0 })]
    [InlineData(new byte[] { 1, 3, 1 })]
    [InlineData(new byte[] { 1, 7, 1 })]
    [InlineData(new byte[] { 1, 40, 1 })]
    public void What_no_version_can_read_is_refused_alike_by_all(byte[] command)
    {
        ReplicatedState state = Commands.Founded();
        Assert.False(state.TryRefuse(command, out _));
        Assert.Equal(RefusalCode.InvalidArgument, state.Apply(3, command).Refusal().Code);
        Assert.Equal(3UL, state.AppliedIndex);
    }

    [Fact]
    public void A_snapshot_of_a_newer_version_is_told_from_a_damaged_one()
    {
        ReplicatedState state = Commands.Founded();
        byte[] before = state.TakeSnapshot();
        Assert.Throws<NewerVersionException>(() => state.Restore((byte[])[(byte)(before[0] + 1), .. before[1..], 7]));
        Assert.Throws<InvalidDataException>(() => state.Restore((byte[])[.. before, 7]));
        Assert.Throws<InvalidDataException>(() => state.Restore(Array.Empty<byte>()));
        Assert.Equal(before, state.TakeSnapshot());
    }
}
