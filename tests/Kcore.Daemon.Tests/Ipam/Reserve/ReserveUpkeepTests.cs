using System.Collections.Immutable;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Reserve;
using Kcore.Daemon.Tests.Ipam.Attachments;

namespace Kcore.Daemon.Tests.Ipam.Reserve;

public sealed class ReserveUpkeepTests
{
    private static readonly ReserveBook Empty = ReserveBook.New(Guid.NewGuid());
    private static readonly ReserveBook Two = Empty.Told(1, [ReserveBookTests.Grant(254, 7), ReserveBookTests.Grant(253, 7)]);
    private static readonly ReserveRow Top = Two.Highest(1, null, _ => false)!;

    [Fact]
    public void A_reserve_that_is_not_full_is_asked_for_and_a_full_one_once_after_the_start()
    {
        Assert.Equal([new ReserveStep.Ask(1)], Due(Empty, 2, confirmed: [1]));
        Assert.Equal([new ReserveStep.Ask(1)], Due(Two, 2, confirmed: []));
        Assert.Empty(Due(Two, 2, confirmed: [1]));
        Assert.Equal([new ReserveStep.Ask(1)], Due(Two, 3, confirmed: [1]));
        Assert.Empty(Due(Two, 3, confirmed: [1], mayAsk: false));
    }

    [Fact]
    public void A_nic_tells_the_log_itself_and_only_then_is_its_address_settled_and_another_asked_for()
    {
        ReserveBook used = Two.Taken(Top, 100);
        ReserveRow row = used.Rows[(1, Top.Address)];
        Assert.Empty(Due(used, 2, [1], Nic(100, grant: 7)));
        Assert.Equal([new ReserveStep.Settle(row)], Due(used, 2, [1], Nic(100, grant: null)));
        Assert.Equal([new ReserveStep.Ask(1)], Due(used.Settled(row), 2, [1], Nic(100, grant: null)));
    }

    [Fact]
    public void The_address_of_a_nic_that_is_gone_is_burned()
    {
        ReserveBook used = Two.Taken(Top, 100);
        Assert.Equal([new ReserveStep.Return(used.Rows[(1, Top.Address)])], Due(used, 2, [1]));
    }

    [Fact]
    public void What_was_given_up_is_returned_and_nothing_asked_for()
    {
        ReserveBook given = Two.GivenUp(1);
        Assert.Equal(given.Rows.Values.Select(r => new ReserveStep.Return(r)), Due(given, 0, [1]));
    }

    [Fact]
    public void Of_a_network_that_is_not_known_the_log_is_asked_and_nothing_dropped()
    {
        Assert.Equal(
            [new ReserveStep.Ask(1)],
            ReserveUpkeep.Due(Two, new Dictionary<UInt128, int>(), Set(), new HashSet<UInt128> { 1 }, _ => true).ToArray());
    }

    [Theory]
    [InlineData(0, 0, false)]
    [InlineData(2.9, 2.9, false)]
    [InlineData(0, 3, true)]
    [InlineData(0.3, 3600, true)]
    [InlineData(5.9, -1, false)]
    [InlineData(6, -1, true)]
    public void The_reserve_is_due_when_no_quorum_is_known_for_a_while_or_no_answer_came_for_longer(double waited, double without, bool isDue) =>
        Assert.Equal(isDue, ReservePolicy.IsDue(TimeSpan.FromSeconds(waited), without < 0 ? null : TimeSpan.FromSeconds(without)));

    private static AttachmentSet Set(params AttachmentRecord[] records) => new(records.ToImmutableSortedDictionary(r => r.Id, r => r));

    private static AttachmentSet Nic(UInt128 id, ulong? grant) => Set(AttachmentTableTests.Record(id, address: "10.250.0.254") with { Grant = grant });

    private static ReserveStep[] Due(ReserveBook book, int wanted, HashSet<UInt128> confirmed, AttachmentSet? nics = null, bool mayAsk = true) =>
        [.. ReserveUpkeep.Due(book, new Dictionary<UInt128, int> { [1] = wanted }, nics ?? Set(), confirmed, _ => mayAsk)];
}
