using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Plan;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>Who is told about NICs that came or moved, and how often.</summary>
public sealed class AnnouncementTests
{
    [Fact]
    public void A_NIC_that_was_made_here_and_an_address_that_moved_are_announced_and_nothing_else()
    {
        DataplaneIntent intent = Intents.With(Intents.Prod) with { Locals = [Intents.Office] };
        ModelKernel kernel = new();
        DataplanePlan first = Planner.Plan(DesiredStateBuilder.From(intent), kernel.Observe(DesiredStateBuilder.From(intent)));
        Assert.Equal(
            [new Announcement("kbr-prod", Intents.Mac(1), Intents.Guest(1)), new Announcement("kbr-office", Intents.Mac(8), null)],
            Announcements.After(first.Steps, intent));

        foreach (DataplaneStep step in first.Steps)
        {
            kernel.Apply(step);
        }

        OverlayIntent moved = Intents.Prod with { RemoteNics = [Intents.Remote("web-02", 2, 3) with { Mac = Intents.Mac(9) }] };
        DataplaneIntent second = Intents.With(moved) with { Locals = [Intents.Office] };
        DesiredState desired = DesiredStateBuilder.From(second);
        Assert.Equal(
            [new Announcement("kbr-prod", Intents.Mac(9), Intents.Guest(2))],
            Announcements.After(Planner.Plan(desired, kernel.Observe(desired)).Steps, second));
    }

    [Fact]
    public void Behaviour_115_a_NIC_that_is_prepared_is_announced_when_it_is_handed_over_and_on_a_physical_network_by_RARP_too()
    {
        LocalNicIntent coming = Intents.Tap("web-02", 2) with { Arriving = true };
        LocalNicIntent pc = Intents.Tap("pc", 8) with { Arriving = true };
        DataplaneIntent before = Intents.With(Intents.Prod with { LocalNics = [coming] }) with { Locals = [Intents.Office with { LocalNics = [pc] }] };
        ModelKernel kernel = new();
        DataplanePlan prepared = Planner.Plan(DesiredStateBuilder.From(before), kernel.Observe(DesiredStateBuilder.From(before)));
        Assert.Empty(Announcements.After(prepared.Steps, before));
        foreach (DataplaneStep step in prepared.Steps)
        {
            kernel.Apply(step);
        }

        DataplaneIntent after = Intents.With(Intents.Prod with { LocalNics = [coming with { Arriving = false }], RemoteNics = [] }) with
        {
            Locals = [Intents.Office with { LocalNics = [pc with { Arriving = false }] }],
        };
        DesiredState desired = DesiredStateBuilder.From(after);
        Assert.Equal(
            [
                new Announcement("kbr-prod", Intents.Mac(2), Intents.Guest(2)),
                new Announcement("kbr-office", Intents.Mac(8), Intents.Guest(8)), new Announcement("kbr-office", Intents.Mac(8), null),
            ],
            Announcements.After(Planner.Plan(desired, kernel.Observe(desired)).Steps, after));
    }

    [Fact]
    public void Each_goes_out_twice_two_seconds_apart_however_often_it_is_asked_for()
    {
        AnnouncementQueue queue = new();
        Announcement one = new("kbr-a", Intents.Mac(1), Intents.Guest(1));
        queue.Add([one, one], TimeSpan.Zero);

        Assert.Equal(one, Assert.Single(queue.Due(TimeSpan.Zero)));
        queue.Add([one], TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.FromSeconds(2), queue.Next);
        Assert.Empty(queue.Due(TimeSpan.FromSeconds(1.9)));
        Assert.Equal(one, Assert.Single(queue.Due(TimeSpan.FromSeconds(2))));
        Assert.Null(queue.Next);
    }

    [Fact]
    public void Thousands_of_NICs_at_once_are_no_more_than_a_hundred_frames_a_second()
    {
        AnnouncementQueue queue = new();
        queue.Add(Enumerable.Range(1, 20_000).Select(i => new Announcement("kbr-a", Intents.Mac(i), null)), TimeSpan.Zero);
        List<int> perSecond = [];
        for (int second = 0; queue.Next is not null; second++)
        {
            int sent = 0;
            for (int tick = 0; tick < 100; tick++)
            {
                sent += queue.Due(TimeSpan.FromSeconds(second) + TimeSpan.FromMilliseconds(10 * tick)).Length;
            }

            perSecond.Add(sent);
        }

        Assert.All(perSecond, n => Assert.InRange(n, 0, 100));
        Assert.Equal(2 * AnnouncementQueue.WaitingMax, perSecond.Sum());
    }
}
