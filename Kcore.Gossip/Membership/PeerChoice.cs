namespace Kcore.Gossip;

/// <summary>Chooses among the other active members, each at most once.</summary>
internal static class PeerChoice
{
    /// <summary>
    /// Members at fixed distances in the ring of all ids, the next one and others evenly around. Who relays by this rule
    /// tells two and is told by two: of choices at random one member in seven would be nobody's.
    /// </summary>
    public static List<NodeId> Around(MemberTable members, int count, NodeId? except)
    {
        ReadOnlySpan<NodeId> ring = members.Ring;
        List<NodeId> picked = [];
        for (int i = 0; i < count; i++)
        {
            int start = ring.Length * i / count;
            for (int tries = 0; tries < ring.Length; tries++)
            {
                NodeId id = ring[(start + tries) % ring.Length];
                if (id != except && !picked.Contains(id))
                {
                    picked.Add(id);
                    break;
                }
            }
        }

        return picked;
    }

    /// <summary>Some at random.</summary>
    public static List<NodeId> Some(Random random, MemberTable members, int count, NodeId? except = null, bool aliveOnly = false)
    {
        ReadOnlySpan<NodeId> others = members.Others;
        List<NodeId> picked = [];
        if (others.Length <= count * 4)
        {
            List<NodeId> pool = [];
            foreach (NodeId id in others)
            {
                if (Wanted(id))
                {
                    pool.Add(id);
                }
            }

            while (picked.Count < count && pool.Count > 0)
            {
                int draw = random.Next(pool.Count);
                picked.Add(pool[draw]);
                pool[draw] = pool[^1];
                pool.RemoveAt(pool.Count - 1);
            }

            return picked;
        }

        for (int tries = 0; picked.Count < count && tries < count * 8; tries++)
        {
            NodeId id = others[random.Next(others.Length)];
            if (Wanted(id) && !picked.Contains(id))
            {
                picked.Add(id);
            }
        }

        return picked;

        bool Wanted(NodeId id) => id != except && (!aliveOnly || members.Find(id)!.Status == MemberStatus.Alive);
    }
}
