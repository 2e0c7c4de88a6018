using System.Net;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Reserve;

namespace Kcore.Daemon.Tests.Ipam.Reserve;

public sealed class ReserveBookTests
{
    private static readonly ReserveBook Two = ReserveBook.New(Guid.NewGuid()).Told(1, [Grant(254, 7), Grant(253, 7)]);

    internal static ParkedAddress Grant(byte last, ulong index) => new(new IPAddress([10, 250, 0, last]), index);

    internal static uint Number(byte last) => AddressSequence.ToNumber(new IPAddress([10, 250, 0, last]));

    [Fact]
    public void The_highest_address_goes_first_and_each_once()
    {
        ReserveRow first = Two.Highest(1, null, _ => false)!;
        Assert.Equal(Number(254), first.Address);
        ReserveBook left = Two.Taken(first, 100);
        Assert.Equal(Number(253), left.Highest(1, null, _ => false)!.Address);
        ReserveBook none = left.Taken(left.Highest(1, null, _ => false)!, 101);
        Assert.Null(none.Highest(1, null, _ => false));
        Assert.Null(none.Highest(2, null, _ => false));
        Assert.False(none.HasAny(1));
        Assert.Equal(2, none.CountOf(1));
    }

    [Fact]
    public void An_address_that_is_seen_in_use_is_not_offered_whatever_the_record_says()
    {
        Assert.Equal(Number(253), Two.Highest(1, null, a => a == Number(254))!.Address);
        Assert.Null(Two.Highest(1, Number(254), a => a == Number(254)));
        Assert.Null(Two.Highest(1, Number(9), _ => false));
    }

    [Fact]
    public void A_used_address_is_not_offered_again_by_an_answer_of_the_log_that_does_not_know_yet()
    {
        ReserveBook used = Two.Taken(Two.Highest(1, null, _ => false)!, 100).Told(1, [Grant(254, 7), Grant(253, 7)]);
        Assert.Equal(Number(253), used.Highest(1, null, _ => false)!.Address);
        Assert.Equal(ReserveUse.Used, used.Rows[(1, Number(254))].Use);

        // Nor when the log has it no more.
        Assert.Equal(ReserveUse.Used, used.Told(1, [Grant(253, 7)]).Rows[(1, Number(254))].Use);
    }

    [Fact]
    public void An_address_that_was_given_up_stays_so_until_the_log_has_ended_the_grant()
    {
        ReserveBook given = Two.GivenUp(1);
        Assert.False(given.HasAny(1));
        Assert.False(given.Told(1, [Grant(254, 7), Grant(253, 7)]).HasAny(1));
        ReserveBook told = given.Told(1, [Grant(253, 7)]);
        Assert.Equal(Number(253), Assert.Single(told.Rows.Values).Address);

        // Granted anew, so the grant before has ended.
        Assert.Equal(Number(253), told.Told(1, [Grant(253, 9)]).Highest(1, null, _ => false)!.Address);
    }

    [Fact]
    public void An_answer_that_no_log_gives_does_no_harm()
    {
        ReserveBook told = ReserveBook.New(Guid.NewGuid()).Told(1, [Grant(254, 7), Grant(254, 9), Grant(253, 0), Grant(252, ulong.MaxValue)]);
        Assert.Equal((Number(254), 9ul), (Assert.Single(told.Rows.Values).Address, told.Rows.Values.Single().GrantIndex));
    }

    [Fact]
    public void What_is_used_can_not_be_given_up()
    {
        ReserveBook book = Two.Taken(Two.Highest(1, null, _ => false)!, 100).GivenUp(1);
        Assert.Equal([ReserveUse.GivenUp, ReserveUse.Used], book.Rows.Values.Select(r => r.Use));
    }

    [Fact]
    public void What_the_log_does_not_have_any_more_is_not_used()
    {
        // The disk of this node is an old copy: it was used and detached since.
        Assert.Equal(Number(253), Assert.Single(Two.Told(1, [Grant(253, 7)]).Rows.Values).Address);
        Assert.Empty(Two.Told(1, []).Rows);
        Assert.Equal(2, Two.Told(2, []).Rows.Count);
    }
}
