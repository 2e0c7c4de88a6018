using System.Net;
using Kcore.Daemon.Ipam;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Ipam;

public sealed class MeshTests
{
    private static ReplicatedCommand.NodeAdd Node(uint number) => new(new MemberId(Commands.Id(number), Commands.Id(1000 + number)), $"node-{number}");

    private static ReplicatedCommand.JoinMesh Join(uint number) => new(Commands.Id(number));

    private static ReplicatedCommand.NodeRemove Remove(uint number) => new(Commands.Id(number), ReleaseLeases: false);

    private static ReplicatedState With(params uint[] nodes)
    {
        ReplicatedState state = Commands.Founded();
        foreach (uint node in nodes)
        {
            Assert.IsType<ReplicatedResult.Done>(state.Do(Node(node)).Result);
        }

        return state;
    }

    [Fact]
    public void Each_node_gets_the_next_address_of_the_mesh_and_asking_again_changes_nothing()
    {
        ReplicatedState state = With(1, 2);

        Assert.Equal(new ReplicatedChange.MeshPut(Commands.Id(2), IPAddress.Parse("100.127.192.1"), 8), Assert.Single(state.Do(Join(2), 8).Changes));
        Assert.Equal(new ReplicatedChange.MeshPut(Commands.Id(1), IPAddress.Parse("100.127.192.2"), 9), Assert.Single(state.Do(Join(1), 9).Changes));
        Assert.Empty(state.Do(Join(2), 10).Changes);
        Assert.IsType<ReplicatedResult.Done>(state.Do(Join(2), 11).Result);
        Assert.Equal(IPAddress.Parse("100.127.192.1"), state.MeshAddress(Commands.Id(2)));
    }

    [Fact]
    public void Who_is_no_node_of_the_cluster_gets_none() => Assert.Equal(RefusalCode.NotFound, With(1).Do(Join(7)).Refusal().Code);

    [Fact]
    public void The_address_goes_with_the_node_and_is_the_last_to_be_given_again()
    {
        ReplicatedState state = With(1, 2, 3);
        state.Do(Join(1));
        state.Do(Join(2));
        state.Do(Remove(2));

        Assert.Null(state.MeshAddress(Commands.Id(2)));
        state.Do(Join(3));
        Assert.Equal(IPAddress.Parse("100.127.192.3"), state.MeshAddress(Commands.Id(3)));
        Assert.Equal(2, state.EnumerateAll().OfType<ReplicatedChange.MeshPut>().Count());
    }

    [Fact]
    public void Names_and_stores_may_change_without_the_address()
    {
        ReplicatedState state = With(1);
        state.Do(Join(1));
        state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(1), Commands.Id(77)), "renamed"));

        Assert.Equal(IPAddress.Parse("100.127.192.1"), state.MeshAddress(Commands.Id(1)));
    }

    [Fact]
    public void A_dissolved_cluster_gives_none()
    {
        ReplicatedState state = With(1);
        state.Do(new ReplicatedCommand.Dissolve(Commands.Id(5)));

        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Join(1)).Refusal().Code);
    }

    [Fact]
    public void A_snapshot_keeps_who_has_what_and_what_comes_next()
    {
        ReplicatedState state = With(1, 2, 3), twin = new();
        state.Do(Join(3));
        state.Do(Join(1));
        state.Do(Remove(3));
        twin.Restore(state.TakeSnapshot());

        Assert.Equal(state.StateHash().ToArray(), twin.StateHash().ToArray());
        Assert.Equal(state.Do(Join(2), 20).Changes.ToArray(), twin.Do(Join(2), 20).Changes.ToArray());
        Assert.Equal(IPAddress.Parse("100.127.192.3"), twin.MeshAddress(Commands.Id(2)));
    }

    [Fact]
    public void A_snapshot_from_before_the_mesh_is_read_as_one_without()
    {
        ReplicatedState state = With(1, 2), old = new();
        byte[] snapshot = state.TakeSnapshot();
        snapshot[0] = 4;

        // The mesh, and after it the holders of reserves, what recoveries hold back, and the moves.
        old.Restore(snapshot.AsMemory(0, snapshot.Length - 12 - 8 - 8));

        Assert.Equal(state.StateHash().ToArray(), old.StateHash().ToArray());
        Assert.Null(old.MeshAddress(Commands.Id(1)));
    }

    [Fact]
    public void All_addresses_can_be_held_and_no_more_and_one_that_came_back_is_found_again()
    {
        var table = new MeshTable();
        for (uint i = 1; i <= MeshTable.OrdinalMax; i++)
        {
            Assert.Equal(i, table.Add(Commands.Id(i), i)!.Ordinal);
        }

        Assert.Null(table.Add(Commands.Id(99_999), 1));
        table.Remove(Commands.Id(4711));
        Assert.Equal(4711u, table.Add(Commands.Id(99_999), 1)!.Ordinal);
        Assert.Equal(16382u, MeshTable.OrdinalMax);
    }

    /// <summary>The table once more, as plainly as it can be written: numbers are tried in a circle from the last that was given.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Any_course_of_joins_and_removals_ends_as_in_the_plain_model(int seed)
    {
        var random = new Random(seed);
        ReplicatedState state = With([.. Enumerable.Range(1, 40).Select(i => (uint)i)]);
        Dictionary<uint, uint> model = [];
        HashSet<uint> removed = [];
        uint last = 0;
        for (ulong index = 100; index < 400; index++)
        {
            uint node = (uint)random.Next(1, 41);
            if (random.Next(4) == 0 && removed.Count < 30)
            {
                state.Do(Remove(node), index);
                removed.Add(node);
                model.Remove(node);
            }
            else
            {
                state.Do(Join(node), index);
                if (!removed.Contains(node) && !model.ContainsKey(node))
                {
                    model[node] = ++last;
                }
            }

            if (index % 50 == 0)
            {
                var restored = new ReplicatedState();
                restored.Restore(state.TakeSnapshot());
                state = restored;
            }
        }

        Assert.Equal(
            model.OrderBy(m => m.Key).Select(m => (m.Key, $"100.127.192.{m.Value}")),
            Enumerable.Range(1, 40).Select(i => ((uint)i, state.MeshAddress(Commands.Id((uint)i))?.ToString()!)).Where(m => m.Item2 is not null));
    }
}
