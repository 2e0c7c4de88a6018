using System.Collections.Immutable;
using Kcore.Daemon.Ipam.Attachments;

namespace Kcore.Daemon.Ipam.Reserve;

/// <summary>One thing to do about the reserves of this node.</summary>
internal abstract record ReserveStep
{
    private ReserveStep()
    {
    }

    /// <summary>Have the log fill the reserve of a network, and hear what is in it.</summary>
    public sealed record Ask(UInt128 Network) : ReserveStep;

    /// <summary>Tell the log that an address is not used any more, or never was.</summary>
    public sealed record Return(ReserveRow Row) : ReserveStep;

    /// <summary>The log knows already.</summary>
    public sealed record Settle(ReserveRow Row) : ReserveStep;
}

/// <summary>What leads from the reserves this node has to those it should have: a pure function.</summary>
internal static class ReserveUpkeep
{
    /// <param name="book">What is there.</param>
    /// <param name="wanted">Addresses to have, by network; what is not in it is unknown here, not unwanted.</param>
    /// <param name="attachments">The NICs of this node.</param>
    /// <param name="confirmed">Networks whose reserve was heard from the log since this node started: its disk may be an old copy.</param>
    /// <param name="mayAsk">False for a network that was asked for a moment ago, in vain.</param>
    public static ImmutableArray<ReserveStep> Due(
        ReserveBook book, IReadOnlyDictionary<UInt128, int> wanted, AttachmentSet attachments, IReadOnlySet<UInt128> confirmed, Func<UInt128, bool> mayAsk)
    {
        ImmutableArray<ReserveStep>.Builder steps = ImmutableArray.CreateBuilder<ReserveStep>();
        foreach (ReserveRow row in book.Rows.Values)
        {
            if (row.Use == ReserveUse.GivenUp)
            {
                steps.Add(new ReserveStep.Return(row));
            }
            else if (row.Use == ReserveUse.Used)
            {
                // A NIC that is there tells the log itself (LeaseLoop), and one that is there and has told has its lease.
                AttachmentRecord? nic = attachments.Records.GetValueOrDefault(row.Attachment);
                if (nic is null)
                {
                    steps.Add(new ReserveStep.Return(row));
                }
                else if (nic.Grant != row.GrantIndex)
                {
                    steps.Add(new ReserveStep.Settle(row));
                }
            }
        }

        IEnumerable<UInt128> lacking = wanted.Where(w => w.Value > 0 && (!confirmed.Contains(w.Key) || book.CountOf(w.Key) < w.Value)).Select(w => w.Key);
        IEnumerable<UInt128> unknown = book.Rows.Values.Where(r => r.Use == ReserveUse.Available && !wanted.ContainsKey(r.Network)).Select(r => r.Network);
        steps.AddRange(lacking.Concat(unknown).Distinct().Order().Where(mayAsk).Select(n => new ReserveStep.Ask(n)));
        return steps.DrainToImmutable();
    }
}
