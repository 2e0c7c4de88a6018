namespace Kcore.Daemon.Cluster.Members;

/// <summary>A place in the history of the cluster's log.</summary>
/// <param name="Epoch">A recovered log goes on in the next epoch.</param>
/// <param name="Index">Of the last command at or before that place.</param>
internal readonly record struct LogMark(ulong Epoch, ulong Index)
{
    /// <summary>Whoever is here holds everything up to there; an older epoch has nothing to say about a later one.</summary>
    public bool Reaches(LogMark there) => Epoch == there.Epoch ? Index >= there.Index : Epoch > there.Epoch;
}
