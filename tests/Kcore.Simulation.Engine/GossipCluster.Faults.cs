using System.Net;
using Kcore.Gossip;

namespace Kcore.Simulation.Engine;

// What happens to nodes.
public sealed partial class GossipCluster
{
    /// <summary>The process ends at once. <paramref name="hostIsUp"/>: its kernel still answers, with refusals.</summary>
    public void Crash(SimulatedNode node, bool loseWriteBehind, bool hostIsUp = true)
    {
        if (node.Core is null)
        {
            return;
        }

        int life = node.Life;
        node.HostIsUp = hostIsUp;
        node.Stop(loseWriteBehind);
        node.LastDisturbed = Now;
        BreakStreamsOf(node, life);
        foreach (ClusterCheck check in Checks)
        {
            check.OnStop(node);
        }
    }

    /// <summary>The process does nothing for a while: a frozen cgroup, a paused VM, a stop of the world.</summary>
    public void Stall(SimulatedNode node, TimeSpan time)
    {
        if (node.Core is null)
        {
            return;
        }

        TimeSpan until = Now + time;
        node.StalledUntil = until > node.StalledUntil ? until : node.StalledUntil;
        node.LastDisturbed = node.StalledUntil;
        WakeAt(node, node.StalledUntil);
    }

    /// <summary>The host's address changes and the daemon notices.</summary>
    public void Move(SimulatedNode node, IPEndPoint endpoint)
    {
        if (_byEndpoint.GetValueOrDefault(node.Endpoint) == node)
        {
            _byEndpoint.Remove(node.Endpoint);
        }

        _byEndpoint[endpoint] = node;
        node.Endpoint = endpoint;
        node.LastDisturbed = Now;
        Submit(node, new GossipInput.Readvertise(endpoint));
    }

    /// <summary>Two hosts exchange addresses (DHCP after a power cut).</summary>
    public void Swap(SimulatedNode a, SimulatedNode b)
    {
        (IPEndPoint first, IPEndPoint second) = (a.Endpoint, b.Endpoint);
        Move(a, second);
        Move(b, first);
        _byEndpoint[second] = a;
        _byEndpoint[first] = b;
    }

    /// <summary>Says goodbye, lingers a second, stops.</summary>
    public void Leave(SimulatedNode node)
    {
        if (node.Core is null)
        {
            return;
        }

        int life = node.Life;
        node.LastDisturbed = Now;
        Submit(node, new GossipInput.Leave());
        At(Now + TimeSpan.FromSeconds(1), () =>
        {
            if (node.Life == life)
            {
                Crash(node, loseWriteBehind: false);
            }
        });
    }

    /// <summary>Addresses of running nodes, as a discovery protocol would find them.</summary>
    public List<IPEndPoint> Sightings(int count)
    {
        List<SimulatedNode> running = [.. Running];
        return running.Count == 0 ? [] : [.. Enumerable.Range(0, count).Select(_ => running[_contacts.Next(running.Count)].Endpoint)];
    }

    /// <summary>Somebody else runs with our id; the larger boot nonce yields and starts over as a fresh node.</summary>
    private void TakeNewIdentity(SimulatedNode node)
    {
        int life = node.Life;
        Truth.Forsake(node.Id);
        At(Now, () =>
        {
            if (node.Life == life)
            {
                Crash(node, loseWriteBehind: false);
                node.ReplaceDisk();
                Start(node, Sightings(2));
            }
        });
    }
}
