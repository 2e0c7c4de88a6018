using System.Diagnostics;
using System.Globalization;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit;

/// <summary>Waits on the real clock for something outside the test to come true.</summary>
public static class Until
{
    // A look is often a process, and several tests wait at once: looking as often as possible would take the processors
    // from what is waited for.
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(400);

    /// <summary>Looks again and again until nothing is missing.</summary>
    /// <param name="what">The expectation, as a clause: "every node lists three members".</param>
    /// <param name="look">Returns null when it holds, else what was seen instead.</param>
    /// <returns>How long it took.</returns>
    /// <exception cref="NotInTimeException">It did not hold within the time; the message carries the last thing seen.</exception>
    public static async Task<TimeSpan> SeenAsync(TimeSpan within, string what, Func<Task<string?>> look)
    {
        long begun = Stopwatch.GetTimestamp();
        for (int looks = 1; ; looks++)
        {
            string? seen;
            TimeSpan lookedAt = Stopwatch.GetElapsedTime(begun);
            try
            {
                seen = await look();
            }
            catch (Exception e) when (e is CommandFailedException or TimeoutException or System.Text.Json.JsonException)
            {
                seen = e.Message;
            }

            if (seen is null)
            {
                // A look that began in time counts: how long the look itself took is not the daemon's fault.
                return lookedAt;
            }

            if (lookedAt > within)
            {
                throw new NotInTimeException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Expected within {within.TotalSeconds:0.##} s: {what}.\nSeen in look {looks}, at {lookedAt.TotalSeconds:0.##} s: {seen}"));
            }

            TimeSpan tenth = Stopwatch.GetElapsedTime(begun) / 10;
            await Task.Delay(tenth < ShortestPause ? ShortestPause : tenth > LongestPause ? LongestPause : tenth);
        }
    }
}

/// <summary>An expectation did not come true in its time.</summary>
public sealed class NotInTimeException(string message) : Exception(message);
