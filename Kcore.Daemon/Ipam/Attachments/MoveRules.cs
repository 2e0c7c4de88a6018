using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Gossip;

namespace Kcore.Daemon.Ipam.Attachments;

/// <summary>Something this node has to do about a move.</summary>
internal abstract record MoveStep(MoveFact Move)
{
    /// <summary>Makes the record, and so the device, of a NIC that is coming, or has come already.</summary>
    public sealed record Make(MoveFact Move) : MoveStep(Move);

    /// <summary>The NIC is this node's from now on.</summary>
    public sealed record TakeUp(MoveFact Move) : MoveStep(Move);

    /// <summary>The NIC is another node's; its device here goes, its address stays with it.</summary>
    public sealed record LetGo(MoveFact Move) : MoveStep(Move);

    /// <summary>Tells the log that this node knows and has acted.</summary>
    public sealed record Acknowledge(MoveFact Move) : MoveStep(Move);
}

/// <summary>
/// What a move means on a node, level-triggered on the catalog: it does not matter what was missed, in which order it came,
/// or when the node crashed. Pure.
/// </summary>
internal static class MoveRules
{
    /// <summary>Whether the NIC is this node's or is coming: false once it was handed over to another, whether or not that was acted on.</summary>
    public static bool IsHere(AttachmentRecord record, CatalogView view, NodeId self) =>
        record.PreparedFor is not null || !view.Moves.Any(m => HasTaken(m, record, self));

    /// <summary>Whether the NIC is another node's still; false once it was handed over to this one.</summary>
    public static bool IsArriving(AttachmentRecord record, CatalogView view, NodeId self) =>
        record.PreparedFor is { } move
        && !view.Moves.Any(m => m.Move == move && !m.IsPending)
        && view.Leases.GetValueOrDefault(record.Id)?.Node != self;

    public static IEnumerable<MoveStep> Due(NodeId self, CatalogView view, AttachmentSet set)
    {
        foreach (MoveFact move in view.Moves)
        {
            AttachmentRecord? record = set.Records.GetValueOrDefault(move.AttachmentId);
            if (move.To == self && !move.TargetKnows && Arrival(move, record) is { } arrival)
            {
                yield return arrival;
            }
            else if (move.From == self && !move.IsPending && !move.SourceKnows)
            {
                yield return record is not null && HasTaken(move, record, self) ? new MoveStep.LetGo(move) : new MoveStep.Acknowledge(move);
            }
        }
    }

    /// <summary>NICs that were to come and are not, by their attachment id: the move was given up.</summary>
    public static IEnumerable<AttachmentRecord> Abandoned(CatalogView view, AttachmentSet set) =>
        set.Records.Values.Where(r => r.PreparedFor is { } move && view.Moves.All(m => m.Move != move));

    private static MoveStep? Arrival(MoveFact move, AttachmentRecord? record) => (move.IsPending, record) switch
    {
        (_, null) => new MoveStep.Make(move),

        // Of an earlier attempt that was given up.
        (_, { PreparedFor: { } other }) when other != move.Move => new MoveStep.Make(move),
        (true, _) => null,
        (false, { PreparedFor: not null }) => new MoveStep.TakeUp(move),

        // It left this node, came back, and was not let go of before.
        (false, { Since: var since }) when since < move.HandedOver => new MoveStep.TakeUp(move),
        _ => new MoveStep.Acknowledge(move),
    };

    // Not what came back by a later move.
    private static bool HasTaken(MoveFact move, AttachmentRecord record, NodeId self) =>
        move.AttachmentId == record.Id && move.From == self && record.PreparedFor is null && move.HandedOver > record.Since;
}
