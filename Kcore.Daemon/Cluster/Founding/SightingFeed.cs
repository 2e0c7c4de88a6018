using System.Threading.Channels;
using Kcore.Daemon.Cluster.Discovery;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>Carries mDNS sightings into the rendezvous, on the loop that owns it.</summary>
internal sealed class SightingFeed(ChannelReader<DiscoveredPeer>? sightings, Rendezvous rendezvous, Neighbourhood neighbours, Func<TimeSpan> now)
{
    /// <summary>Takes in what was sighted; returns after the first sighting or the pause, whichever comes first.</summary>
    public async Task WaitAsync(TimeSpan pause, TimeProvider time, CancellationToken token)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(token);
        Task timer = Task.Delay(pause, time, limit.Token);
        await Task.WhenAny(timer, sightings?.WaitToReadAsync(limit.Token).AsTask() ?? timer);
        await limit.CancelAsync();
        token.ThrowIfCancellationRequested();
        while (sightings?.TryRead(out DiscoveredPeer? peer) ?? false)
        {
            neighbours.Saw(peer);
            rendezvous.Add(peer, now());
        }
    }
}
