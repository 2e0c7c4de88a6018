namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>
/// Takes the answers to proposals that nobody awaits one by one. Called by the loop, between entries: everything here must
/// return at once and not throw.
/// </summary>
public interface IProposalAnswers<in TResult>
{
    /// <summary>The command was applied; nothing is sent yet.</summary>
    void Grant(ulong number, TResult result);

    /// <summary>The command was not, or may not have been, applied; nothing is sent yet.</summary>
    void Refuse(ulong number, ProposeException failure);

    /// <summary>Sends what was told since the last time. May find nothing.</summary>
    void Send();
}
