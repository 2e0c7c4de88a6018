namespace Kcore.TestKit.Histories;

/// <summary>
/// Looks for what a linearizable allocator can never show, in n·log n: for histories of millions of requests, where the
/// exact search would never end. It finds every duplicate and every address out of order, but not every violation.
/// </summary>
public static class IntervalChecker
{
    /// <summary>The violations found, in words; none in a good history.</summary>
    /// <param name="history">All requests.</param>
    /// <param name="orderOf">The addresses of a network in the order in which they are granted.</param>
    /// <param name="isReuseAllowed">True if a released address may be granted again later.</param>
    public static IEnumerable<string> FindViolations(
        IEnumerable<HistoryOperation> history,
        Func<string, IReadOnlyList<string>> orderOf,
        bool isReuseAllowed = false)
    {
        foreach (IGrouping<string, HistoryOperation> network in history.GroupBy(operation => operation.Network, StringComparer.Ordinal))
        {
            Attachment[] attachments =
                [.. network.GroupBy(operation => operation.Attachment, StringComparer.Ordinal).Select(group => new Attachment(group.Key, [.. group]))];
            foreach (string violation in attachments.SelectMany(attachment => attachment.FindViolations())
                .Concat(FindShared(attachments, isReuseAllowed))
                .Concat(isReuseAllowed ? [] : FindDisorder(network, orderOf(network.Key))))
            {
                yield return $"{network.Key}: {violation}";
            }
        }
    }

    // Two attachments had one address: never, or at least not at the same time.
    private static IEnumerable<string> FindShared(IEnumerable<Attachment> attachments, bool isReuseAllowed)
    {
        foreach (IGrouping<string, Attachment> sharers in attachments.Where(a => a.Address is not null).GroupBy(a => a.Address!, StringComparer.Ordinal))
        {
            Attachment? before = null;
            foreach (Attachment holder in sharers.OrderBy(a => a.HeldFrom))
            {
                if (before is not null && (!isReuseAllowed || before.HeldUntil > holder.HeldFrom))
                {
                    yield return $"{sharers.Key} was given to {before.Name} and to {holder.Name}";
                }

                before = before is null || before.HeldUntil < holder.HeldUntil ? holder : before;
            }
        }
    }

    // Answered before the other was asked, and yet a later address.
    private static IEnumerable<string> FindDisorder(IEnumerable<HistoryOperation> operations, IReadOnlyList<string> order)
    {
        var ordinals = order.Select((address, i) => (address, i)).ToDictionary(pair => pair.address, pair => pair.i, StringComparer.Ordinal);
        HistoryOperation[] grants = [.. operations.Where(o => o is { Action: AddressAction.Allocate, Answer: AnswerKind.Granted, Wanted: null })];

        // A repeated request gets the old answer, so only the first answer of an attachment says something about order.
        HistoryOperation[] firsts = [.. grants.GroupBy(o => o.Attachment, StringComparer.Ordinal).Select(group => group.MinBy(o => o.Returned)!)];
        Dictionary<string, long> firstCalls = operations
            .Where(o => o.Action == AddressAction.Allocate)
            .GroupBy(o => o.Attachment, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Min(o => o.Called), StringComparer.Ordinal);
        foreach (HistoryOperation grant in firsts.Where(grant => !ordinals.ContainsKey(grant.Address!)))
        {
            yield return $"{grant.Address} is not an address to be granted";
        }

        HistoryOperation[] byReturn = [.. firsts.Where(grant => ordinals.ContainsKey(grant.Address!)).OrderBy(grant => grant.Returned)];
        HistoryOperation[] byCall = [.. byReturn.OrderBy(grant => firstCalls[grant.Attachment])];
        int returned = 0;
        HistoryOperation? highest = null;
        foreach (HistoryOperation grant in byCall)
        {
            for (; returned < byReturn.Length && byReturn[returned].Returned < firstCalls[grant.Attachment]; returned++)
            {
                highest = highest is null || ordinals[byReturn[returned].Address!] > ordinals[highest.Address!] ? byReturn[returned] : highest;
            }

            if (highest is not null && ordinals[highest.Address!] > ordinals[grant.Address!])
            {
                yield return $"{grant.Attachment} got {grant.Address} after {highest.Attachment} had got {highest.Address}";
            }
        }
    }

    /// <summary>The life of one attachment.</summary>
    private sealed class Attachment
    {
        private readonly HistoryOperation[] _operations;

        public Attachment(string name, HistoryOperation[] operations)
        {
            Name = name;
            _operations = operations;
            HistoryOperation[] grants = [.. operations.Where(o => o.Answer == AnswerKind.Granted)];
            Address = grants.FirstOrDefault()?.Address;
            HeldFrom = grants.Length > 0 ? grants.Min(o => o.Returned) : HistoryOperation.Never;
            HistoryOperation[] releases = [.. operations.Where(o => o.Action == AddressAction.Release && o.Answer != AnswerKind.Refused)];
            HeldUntil = releases.Length > 0 ? releases.Min(o => o.Called) : HistoryOperation.Never;
            long[] ends = [.. releases.Where(o => o.Answer == AnswerKind.Released).Select(o => o.Returned)];
            FreeFrom = ends.Length > 0 ? ends.Min() : HistoryOperation.Never;
        }

        public string Name { get; }

        /// <summary>The address it got first, or null.</summary>
        public string? Address { get; }

        /// <summary>From here on it certainly held the address.</summary>
        public long HeldFrom { get; }

        /// <summary>Up to here it certainly held the address.</summary>
        public long HeldUntil { get; }

        /// <summary>From here on it certainly held none.</summary>
        private long FreeFrom { get; }

        public IEnumerable<string> FindViolations()
        {
            foreach (HistoryOperation operation in _operations)
            {
                bool isOther = operation.Address is not null && Address is not null && operation.Address != Address;
                if (isOther)
                {
                    yield return $"{Name} has {Address} and {operation.Address}";
                }

                if (operation.Answer == AnswerKind.NotHeld && operation.Called > HeldFrom && operation.Returned < HeldUntil)
                {
                    yield return $"{Name} holds {Address}, and a lookup at {operation.Called} did not find it";
                }

                if (operation.Answer is AnswerKind.Held or AnswerKind.Granted && operation.Called > FreeFrom)
                {
                    yield return $"{Name} was released, and yet at {operation.Called} it has {operation.Address}";
                }
            }
        }
    }
}
