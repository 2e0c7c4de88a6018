using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Facts;

namespace Kcore.Daemon.Tests.Dataplane.Facts;

/// <summary>Who fights us, and how often that is said.</summary>
public sealed class FightBookTests
{
    private static readonly DateTimeOffset _start = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_fight_is_told_when_it_begins_and_again_after_ten_minutes_and_counts_on()
    {
        FightBook book = new();
        List<Fight> told = [];
        for (int second = 0; second <= 601; second++)
        {
            if (book.Note(Repair(null), _start.AddSeconds(second), () => "NetworkManager") is { } fight)
            {
                told.Add(fight);
            }
        }

        Assert.Equal([3, 603], told.Select(f => f.Times));
        Assert.All(told, f => Assert.Equal("NetworkManager", f.By));
        Assert.Equal(604, Assert.Single(book.At(_start.AddSeconds(602))).Times);
    }

    [Fact]
    public void A_fight_is_over_after_ten_quiet_seconds_and_a_new_one_is_told_again()
    {
        FightBook book = new();
        Assert.NotNull(book.Note(Repair(null), _start, () => null));
        Assert.Empty(book.At(_start.AddSeconds(10)));

        Fight? second = book.Note(Repair("nft (process 7)"), _start.AddSeconds(20), () => "somebody");
        Assert.Equal((3, "nft (process 7)"), (second!.Times, second.By));
        Assert.Equal("nft kcore is changed back again and again: put right 3 times since 12:00:20 UTC, by nft (process 7)", second.ToString());
    }

    private static DriftRepair Repair(string? by) => new("nft kcore", "", null, 3, by);
}
