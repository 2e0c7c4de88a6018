using Kcore.TestKit.Histories;

namespace Kcore.Simulation.Histories;

/// <summary>The checkers themselves: a good history passes, and one with a single planted violation does not.</summary>
public sealed class HistoryCheckerTests
{
    private static readonly string[] Order = [.. Enumerable.Range(2, 400).Select(n => $"10.0.{n / 256}.{n % 256}")];

    public static TheoryData<string> Plants => [.. Plantings.Keys];

    private static readonly Dictionary<string, Func<List<HistoryOperation>, HistoryOperation>> Plantings = new()
    {
        ["one address twice"] = history => Grant(history[^1].Returned + 1, "thief", history.Last(o => o.Answer == AnswerKind.Granted).Address!),
        ["a released address again"] = history => Grant(history[^1].Returned + 1, "heir", AddressOf(history, history.Last(o => o.Answer == AnswerKind.Released).Attachment)),
        ["another address for one attachment"] = history =>
            Grant(history[^1].Returned + 1, history.Last(o => o.Answer == AnswerKind.Granted).Attachment, Order[^1]),
        ["an address out of order"] = history => Grant(history[^1].Returned + 1, "latecomer", Order[^1]),
        ["an address of no network"] = history => Grant(history[^1].Returned + 1, "stranger", "192.0.2.1"),
        ["a stale read of what is held"] = history => Look(history, history.Last(o => o.Answer == AnswerKind.Granted && !IsReleased(history, o)).Attachment, null),
        ["a stale read of what was released"] = history =>
            Look(history, history.Last(o => o.Answer == AnswerKind.Released).Attachment, AddressOf(history, history.Last(o => o.Answer == AnswerKind.Released).Attachment)),
    };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_history_of_a_correct_allocator_passes_both(int seed)
    {
        List<HistoryOperation> history = Lived(seed, 300);
        Assert.Null(LinearizabilityChecker.FindViolation(history, _ => Order));
        Assert.Empty(IntervalChecker.FindViolations(history, _ => Order));
    }

    [Theory]
    [MemberData(nameof(Plants))]
    public void A_planted_violation_is_rejected_by_both(string plant)
    {
        for (int seed = 1; seed <= 5; seed++)
        {
            List<HistoryOperation> history = Lived(seed, 120);
            HistoryOperation violation = Plantings[plant](history);
            history.Add(violation);
            Assert.NotNull(LinearizabilityChecker.FindViolation(history, _ => Order));

            // Without the last address being reached, an order is only broken for those that come after.
            List<HistoryOperation> longer = plant == "an address out of order"
                ? [.. history, Grant(violation.Returned + 1, "next", Order[history.Count(o => o.Answer == AnswerKind.Granted)])]
                : history;
            Assert.NotEmpty(IntervalChecker.FindViolations(longer, _ => Order));
        }
    }

    [Fact]
    public void An_unanswered_request_may_have_happened_or_not_but_only_once()
    {
        HistoryOperation lost = new("net", AddressAction.Allocate, "lost", null, 1, HistoryOperation.Never, AnswerKind.Unknown, null);
        Assert.Null(LinearizabilityChecker.FindViolation([lost, Grant(10, "a", Order[0])], _ => Order));
        Assert.Null(LinearizabilityChecker.FindViolation([lost, Grant(10, "a", Order[1])], _ => Order));
        Assert.NotNull(LinearizabilityChecker.FindViolation([lost, Grant(10, "a", Order[2])], _ => Order));
    }

    [Fact]
    public void Exhausted_is_right_only_when_nothing_is_left()
    {
        HistoryOperation exhausted = new("net", AddressAction.Allocate, "b", null, 20, 21, AnswerKind.Exhausted, null);
        Assert.Null(LinearizabilityChecker.FindViolation([Grant(1, "a", Order[0]), exhausted], _ => Order[..1]));
        Assert.NotNull(LinearizabilityChecker.FindViolation([Grant(1, "a", Order[0]), exhausted], _ => Order[..2]));
    }

    [Fact]
    public void A_violation_behind_many_releases_that_overlap_is_found_or_given_up_on_and_never_passes()
    {
        // Any of the releases may come before any other: there are 2^40 ways to the violation.
        List<HistoryOperation> history = [.. Enumerable.Range(0, 40).Select(i => Grant((i * 2) + 1, $"n{i}", Order[i]))];
        history.AddRange(Enumerable.Range(0, 40).Select(i =>
            new HistoryOperation("net", AddressAction.Release, $"n{i}", null, 100 + i, 1000, AnswerKind.Released, null)));
        Assert.Null(LinearizabilityChecker.FindViolation([.. history, Grant(1001, "next", Order[40])], _ => Order));
        string? found = LinearizabilityChecker.FindViolation([.. history, Grant(1001, "heir", Order[7])], _ => Order, statesMax: 20_000);
        Assert.Contains("20000 states", found, StringComparison.Ordinal);
    }

    [Fact]
    public void The_interval_checker_bears_a_long_history()
    {
        string[] order = [.. Enumerable.Range(0, 60_000).Select(n => $"10.{n >> 16}.{(n >> 8) & 255}.{n & 255}")];
        List<HistoryOperation> history = Lived(9, 100_000, order);
        Assert.Empty(IntervalChecker.FindViolations(history, _ => order));
        history.Add(Grant(history[^1].Returned + 1, "thief", order[500]));
        Assert.NotEmpty(IntervalChecker.FindViolations(history, _ => order));
    }

    private static bool IsReleased(List<HistoryOperation> history, HistoryOperation grant) =>
        history.Any(o => o.Action == AddressAction.Release && o.Attachment == grant.Attachment);

    private static string AddressOf(List<HistoryOperation> history, string attachment) =>
        history.First(o => o.Attachment == attachment && o.Answer == AnswerKind.Granted).Address!;

    private static HistoryOperation Grant(long at, string attachment, string address) =>
        new("net", AddressAction.Allocate, attachment, null, at, at + 1, AnswerKind.Granted, address);

    private static HistoryOperation Look(List<HistoryOperation> history, string attachment, string? address)
    {
        long at = history[^1].Returned + 1;
        return new("net", AddressAction.Lookup, attachment, null, at, at + 1, address is null ? AnswerKind.NotHeld : AnswerKind.Held, address);
    }

    // Overlapping requests: each takes effect at one moment, and is asked up to 40 before and answered up to 40 after. The
    // last ones do not overlap, so that a violation can be planted behind them.
    private static List<HistoryOperation> Lived(int seed, int count, string[]? order = null)
    {
        order ??= Order;
        var random = new Random(seed);
        var history = new List<HistoryOperation>();
        var held = new List<(string Attachment, string Address)>();
        int next = 0;
        for (int i = 0; i < count; i++)
        {
            long moment = 100 + (i * 10);
            bool isLast = i > count - 4;
            long called = isLast ? moment + 60 : moment - random.Next(40);
            long returned = isLast ? moment + 61 : moment + random.Next(40);
            int dice = i == count - 3 ? 60 : i > count - 3 ? 0 : random.Next(100);
            if (dice < 55 || held.Count == 0)
            {
                string attachment = $"nic-{i}";
                held.Add((attachment, order[next]));
                history.Add(new("net", AddressAction.Allocate, attachment, null, called, returned, AnswerKind.Granted, order[next++]));
            }
            else if (dice < 80)
            {
                int which = random.Next(held.Count);
                history.Add(new("net", AddressAction.Release, held[which].Attachment, null, called, returned, AnswerKind.Released, null));
                held.RemoveAt(which);
            }
            else
            {
                (string attachment, string address) = held[random.Next(held.Count)];
                history.Add(new("net", AddressAction.Lookup, attachment, null, called, returned, AnswerKind.Held, address));
            }
        }

        return history;
    }
}
