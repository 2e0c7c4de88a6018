namespace Kcore.Gossip;

/// <summary>What the other parts of the core must know of the member table, told by <see cref="Roster"/>.</summary>
internal interface IMemberListener
{
    /// <summary>A record of another member was taken; it supersedes what was held.</summary>
    void Changed(Member? before, Member after, Accusation? accusation);

    /// <summary>Somebody repeats an accusation that is already known.</summary>
    void Repeated(Member subject, Accusation accusation);

    /// <summary>Another node with our id is to be heard instead of this one.</summary>
    void Yielded();

    /// <summary>A removal was committed.</summary>
    void Forgotten(Member member);
}
