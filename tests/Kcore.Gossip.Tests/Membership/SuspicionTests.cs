using Kcore.Gossip.Tests.Crdt;

namespace Kcore.Gossip.Tests.Membership;

public sealed class SuspicionTests
{
    [Theory]
    // Members, witnesses, milliseconds: from four times the minimum down to it.
    [InlineData(2, 0, 2500)]
    [InlineData(3, 0, 10000)]
    [InlineData(3, 1, 2500)]
    [InlineData(10, 0, 10000)]
    [InlineData(10, 1, 6250)]
    [InlineData(10, 2, 4056)]
    [InlineData(10, 3, 2500)]
    [InlineData(10, 7, 2500)]
    public void The_time_to_answer_falls_with_each_witness(int members, int witnesses, int expected)
    {
        var suspicion = new Suspicion(MemberCodecTests.Member(), Accusation.By(new NodeId(50)), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2.5), 4, members);
        for (int i = 0; i < witnesses; i++)
        {
            bool shortens = suspicion.Witnesses < suspicion.Wanted;
            Assert.Equal(shortens, suspicion.Confirm(Accusation.By(new NodeId((UInt128)(100 + i)))));
            Assert.False(suspicion.Confirm(Accusation.By(new NodeId((UInt128)(100 + i)))));
        }

        Assert.Equal(expected, (suspicion.Deadline - TimeSpan.FromSeconds(1)).TotalMilliseconds);
    }

    [Fact]
    public void A_stall_of_ours_gives_the_suspect_more_time_but_not_without_end()
    {
        var suspicion = new Suspicion(MemberCodecTests.Member(), Accusation.By(new NodeId(50)), TimeSpan.Zero, TimeSpan.FromSeconds(2), 4, 2);
        suspicion.Extend(TimeSpan.FromMilliseconds(300));
        Assert.Equal(TimeSpan.FromMilliseconds(2300), suspicion.Deadline);
        suspicion.Extend(TimeSpan.FromMinutes(5));
        Assert.Equal(TimeSpan.FromMilliseconds(3300), suspicion.Deadline);
    }

    [Fact]
    public void Every_member_is_probed_once_a_lap_and_newcomers_soon()
    {
        var order = new ProbeOrder(new Random(3));
        NodeId[] ids = [.. Enumerable.Range(1, 9).Select(i => new NodeId((UInt128)i))];
        foreach (NodeId id in ids)
        {
            order.Add(id);
        }

        List<NodeId> seen = [.. Enumerable.Range(0, 27).Select(_ => order.Next()!.Value)];
        Assert.All(ids, id => Assert.InRange(seen.Count(s => s == id), 2, 4));
        order.Remove(ids[0]);
        Assert.DoesNotContain(ids[0], Enumerable.Range(0, 16).Select(_ => order.Next()!.Value));
    }
}
