using System.Net;

namespace Kcore.Gossip.Tests.Membership;

/// <summary>Who relays to whom in a small cluster.</summary>
public sealed class PeerChoiceTests
{
    private static Member Node(int n) => new()
    {
        Id = new NodeId((UInt128)(ulong)(n * 7919 % 101)),
        Epoch = 1,
        BootNonce = 1,
        Endpoint = new IPEndPoint(IPAddress.Loopback, 1000 + n),
        RaftPort = 1,
        Name = $"node-{n}",
    };

    /// <summary>The table of one of so many members, who met the others in an order of its own.</summary>
    private static MemberTable Table(int self, int count)
    {
        var table = new MemberTable(Node(self));
        foreach (int other in Enumerable.Range(1, count).Where(n => n != self).OrderBy(n => n * self % 17))
        {
            table.Set(Node(other));
        }

        return table;
    }

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(10)]
    [InlineData(33)]
    public void Who_relays_around_tells_two_and_is_told_by_two(int count)
    {
        List<NodeId> told = [.. Enumerable.Range(1, count).SelectMany(n => PeerChoice.Around(Table(n, count), 2, except: null))];
        Assert.Equal(2 * count, told.Count);
        Assert.All(told.GroupBy(id => id), g => Assert.Equal(2, g.Count()));
    }

    [Fact]
    public void Who_knows_already_is_passed_over_for_the_next()
    {
        for (int except = 2; except <= 5; except++)
        {
            List<NodeId> told = PeerChoice.Around(Table(1, 5), 2, Node(except).Id);
            Assert.Equal(2, told.Distinct().Count());
            Assert.DoesNotContain(Node(except).Id, told);
            Assert.DoesNotContain(Node(1).Id, told);
        }

        Assert.Empty(PeerChoice.Around(Table(1, 2), 2, Node(2).Id));
        Assert.Equal([Node(2).Id], PeerChoice.Around(Table(1, 2), 2, except: null));
    }

    [Fact]
    public void Who_has_come_is_told_and_who_has_gone_is_not()
    {
        MemberTable table = Table(1, 3);
        Assert.Equal(Sorted(2, 3), PeerChoice.Around(table, 9, except: null).Order());

        table.Set(Node(4));
        Assert.Equal(Sorted(2, 3, 4), PeerChoice.Around(table, 9, except: null).Order());

        table.Set(Node(2) with { Status = MemberStatus.Dead });
        Assert.Equal(Sorted(3, 4), PeerChoice.Around(table, 9, except: null).Order());

        table.Remove(Node(4).Id);
        Assert.Equal(Sorted(3), PeerChoice.Around(table, 9, except: null).Order());
    }

    private static IEnumerable<NodeId> Sorted(params int[] nodes) => nodes.Select(n => Node(n).Id).Order();
}
