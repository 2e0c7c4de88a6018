using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Gossip.Tests.Wire.Sealing;

public sealed class ReplayWindowTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void It_agrees_with_a_set_of_every_counter_ever_seen(int seed)
    {
        var random = new Random(seed);
        var window = new ReplayWindow();
        HashSet<ulong> seen = [];
        ulong highest = 0;
        ulong around = 1;
        for (int i = 0; i < 50_000; i++)
        {
            around += random.Next(100) == 0 ? (ulong)random.Next(10_000) : (ulong)random.Next(4);
            ulong counter = (ulong)Math.Max(0, (long)around - random.Next(random.Next(20) == 0 ? 6_000 : 64));

            DropReason expected =
                counter == 0 || (counter <= highest && highest - counter >= ReplayWindow.Size) ? DropReason.TooOld
                : seen.Contains(counter) ? DropReason.Replayed
                : DropReason.None;
            Assert.True(expected == window.Check(counter), $"seed {seed}, step {i}, counter {counter}, highest {highest}");
            if (expected == DropReason.None)
            {
                window.Mark(counter);
                seen.Add(counter);
                highest = Math.Max(highest, counter);
            }
        }
    }

    [Fact]
    public void The_window_spans_exactly_2048_counters()
    {
        var window = new ReplayWindow();
        window.Mark(10_000);

        Assert.Equal(DropReason.None, window.Check(10_000 - 2_047));
        Assert.Equal(DropReason.TooOld, window.Check(10_000 - 2_048));
    }

    [Theory]
    [InlineData(1UL)]
    [InlineData(63UL)]
    [InlineData(64UL)]
    [InlineData(2_047UL)]
    [InlineData(1_000_000UL)]
    [InlineData(ulong.MaxValue - 1)]
    public void A_window_that_begins_late_takes_all_before_as_used_and_nothing_after(ulong used)
    {
        var window = new ReplayWindow(used);
        for (ulong back = 0; back < 3_000 && back < used; back++)
        {
            Assert.NotEqual(DropReason.None, window.Check(used - back));
        }

        Assert.Equal(used, window.Highest);
        for (ulong on = Math.Min(200, ulong.MaxValue - used); on > 0; on--)
        {
            Assert.Equal(DropReason.None, window.Check(used + on));
            window.Mark(used + on);
            Assert.Equal(DropReason.Replayed, window.Check(used + on));
            Assert.NotEqual(DropReason.None, window.Check(used));
        }
    }

    [Fact]
    public void A_leap_to_the_largest_counter_clears_what_came_before()
    {
        var window = new ReplayWindow();
        window.Mark(5);
        window.Mark(ulong.MaxValue);

        Assert.Equal(DropReason.Replayed, window.Check(ulong.MaxValue));
        Assert.Equal(DropReason.None, window.Check(ulong.MaxValue - 2_047));
        Assert.Equal(DropReason.TooOld, window.Check(5));
    }
}
