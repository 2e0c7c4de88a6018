namespace Kcore.Gossip;

/// <summary>Draws other active members at random, each at most once.</summary>
internal static class PeerChoice
{
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
