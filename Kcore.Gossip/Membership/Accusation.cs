using System.Collections.Immutable;

namespace Kcore.Gossip;

/// <summary>
/// Who suspects a member or declared it dead, and who else could not reach it. Witnesses travel with the rumor: whoever
/// hears it may count on what others have tried.
/// </summary>
internal sealed record Accusation(NodeId Accuser, ImmutableArray<NodeId> Witnesses)
{
    /// <summary>More would not shorten any suspicion.</summary>
    public const int MaxWitnesses = 4;

    public static Accusation By(NodeId accuser) => new(accuser, []);
}
